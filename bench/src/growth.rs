//! Feedback growth: how many users there should be after what happened. Pure.
