//! `users/*` and `find_user`

mod find_user_get;
