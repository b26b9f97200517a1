//! `dev/*`

mod test_user_post;
