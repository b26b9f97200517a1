//! engine (see ARCHITECTURE.md).
