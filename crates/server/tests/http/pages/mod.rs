//! Pages for people

mod register_get;
mod register_post;
