//! The tables as SeaORM sees them, one file each.

#![allow(unreachable_pub, reason = "the derives want public items")]
#![allow(
    clippy::struct_excessive_bools,
    clippy::struct_field_names,
    reason = "rows mirror their tables"
)]

pub(crate) mod api_key;
pub(crate) mod balance;
pub(crate) mod collection;
pub(crate) mod collection_style;
pub(crate) mod ip_block;
pub(crate) mod job;
pub(crate) mod ledger_entry;
pub(crate) mod problem_job;
pub(crate) mod prompt_filter;
pub(crate) mod request;
pub(crate) mod setting;
pub(crate) mod shared_key;
pub(crate) mod style;
pub(crate) mod style_label;
pub(crate) mod team;
pub(crate) mod user;
pub(crate) mod user_record;
pub(crate) mod user_total;
pub(crate) mod webhook_delivery;
pub(crate) mod work_stat;
pub(crate) mod worker;
pub(crate) mod worker_message;
