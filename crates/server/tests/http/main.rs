//! Every endpoint through a real server: one folder a resource, one file a route and method.
//!
//! Time stands still unless a test moves it, and ids, keys and choices are drawn from a fixed seed, so
//! bodies can be compared whole. The database is a file; `MUSTER_TEST_HTTP_ON=postgres` takes the server
//! that `scripts/with-services` starts.

#![allow(clippy::unwrap_used)]

mod blobs;
mod collections;
mod conventions;
mod description;
mod dev;
mod documents;
mod filters;
mod fuzz;
mod generate;
mod interrogate;
mod kudos;
mod limits;
mod pages;
mod permissions;
mod reference;
mod replay;
mod return_codes;
mod safety;
mod shared_keys;
mod stats;
mod status;
mod styles;
mod support;
mod teams;
mod text;
mod users;
mod workers;
