//! worker (see ARCHITECTURE.md).
