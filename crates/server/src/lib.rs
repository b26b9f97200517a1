//! server (see ARCHITECTURE.md).
