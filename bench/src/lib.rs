//! isukit
