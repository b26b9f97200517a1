//! `workers`.

mod delete;
mod get;
mod list_get;
mod messages;
mod put;
mod suspicion;
