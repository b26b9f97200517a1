//! dispatch (see ARCHITECTURE.md).
