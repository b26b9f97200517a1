//! Pages for people

mod browser;
mod documents;
mod register_get;
mod register_post;
