//! Pages for people

mod browser;
mod register_get;
mod register_post;
