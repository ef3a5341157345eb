//! All limits of the search for causes.

/// Bins that are kept; beyond, they get wider.
pub(super) const BINS: usize = 1_024;
/// Routes and shapes with a larger number are not counted.
pub(super) const NUMBERS: u32 = 8_192;
/// Routes that are solved for, those with most requests.
pub(super) const ROUTES: usize = 200;
/// Shapes that are solved for, those with most statements.
pub(super) const SHAPES: usize = 500;
/// Requests whose statements are kept by their id; beyond, a sample of them is.
pub(super) const REQUESTS: usize = 16_384;
/// Different shapes that are kept of one request.
pub(super) const SHAPES_OF_REQUEST: usize = 64;
