//! `users` and `find_user`.

mod delete;
mod find_user_get;
mod get;
mod list_get;
mod put;
mod supporters;
mod trust;
