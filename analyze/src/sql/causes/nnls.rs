//! Least squares whose solution is not negative, by the active set method of Lawson and Hanson
//! (Solving Least Squares Problems, 1974, chapter 23), on the normal equations.

/// A share of the diagonal that is added to it, so that equal columns have a solution.
const RIDGE: f64 = 1e-9;

/// Find `x >= 0` that makes `x'Gx/2 - c'x` least. `gram` is G by rows, with a row for each of `c`; a row
/// whose diagonal is not positive has `x = 0`.
pub(super) fn nnls(gram: &[f64], c: &[f64]) -> Vec<f64> {
    let n = c.len();
    let at = |row: usize, column: usize| gram.get(row * n + column).copied().unwrap_or(0.0);
    let scale: Vec<f64> = (0..n).map(|j| at(j, j).max(0.0).sqrt()).collect();
    let mut x = vec![0.0; n];
    let mut active: Vec<usize> = Vec::new();
    let largest = (0..n).map(|j| slope(c[j], scale[j])).fold(0.0, f64::max);
    let tolerance = 1e-10 * largest.max(f64::MIN_POSITIVE);
    // Each pass adds a column; a column may leave again, rarely more than once.
    for _ in 0..3 * n {
        let steepest = (0..n)
            .filter(|j| scale[*j] > 0.0 && !active.contains(j))
            .map(|j| {
                let fitted: f64 = active.iter().map(|k| at(j, *k) * x[*k]).sum();
                (slope(c[j] - fitted, scale[j]), j)
            })
            .max_by(|one, other| one.0.total_cmp(&other.0));
        match steepest {
            Some((slope, j)) if slope > tolerance => active.push(j),
            _ => break,
        }
        while !active.is_empty() {
            let solution = solve(&at, c, &scale, &active);
            // How far towards the solution nothing gets negative.
            let step = active
                .iter()
                .zip(&solution)
                .filter(|(_, target)| **target <= 0.0)
                .map(|(j, target)| x[*j] / (x[*j] - target).max(f64::MIN_POSITIVE))
                .fold(1.0, f64::min);
            for (j, target) in active.iter().zip(&solution) {
                x[*j] += step * (target - x[*j]);
            }
            if solution.iter().all(|target| *target > 0.0) {
                break;
            }
            let before = active.len();
            let leaves =
                |j: &usize, target: f64, x: &[f64]| target <= 0.0 && x[*j] * scale[*j] <= tolerance;
            let targets = solution.into_iter();
            let kept: Vec<usize> = active
                .iter()
                .zip(targets)
                .filter(|(j, target)| !leaves(j, *target, &x))
                .map(|(j, _)| *j)
                .collect();
            active = kept;
            for (j, value) in x.iter_mut().enumerate() {
                if !active.contains(&j) {
                    *value = 0.0;
                }
            }
            if active.len() == before {
                break;
            }
        }
    }
    x.iter_mut().for_each(|value| *value = value.max(0.0));
    x
}

/// The gradient, as if all columns had length 1.
fn slope(gradient: f64, scale: f64) -> f64 {
    match scale > 0.0 {
        true => gradient / scale,
        false => 0.0,
    }
}

/// The diagonal of the inverse of G; a row whose diagonal is not positive has none.
pub(super) fn inverse_diagonal(gram: &[f64], n: usize) -> Vec<Option<f64>> {
    let at = |row: usize, column: usize| gram.get(row * n + column).copied().unwrap_or(0.0);
    let scale: Vec<f64> = (0..n).map(|j| at(j, j).max(0.0).sqrt()).collect();
    let there: Vec<usize> = (0..n).filter(|j| scale[*j] > 0.0).collect();
    let m = there.len();
    let lower = cholesky(&at, &scale, &there);
    let mut found = vec![None; n];
    for (column, j) in there.iter().enumerate() {
        // A column of the inverse of the lower half; its length is what is asked for.
        let mut solution = vec![0.0; m];
        for row in column..m {
            let known: f64 = (column..row)
                .map(|i| lower[row * m + i] * solution[i])
                .sum();
            let unit = f64::from(u8::from(row == column));
            solution[row] = (unit - known) / lower[row * m + row];
        }
        let length: f64 = solution.iter().map(|it| it * it).sum();
        found[*j] = Some(length / (scale[*j] * scale[*j]));
    }
    found
}

/// The lower half L of the columns' matrix LL', as if all had length 1.
fn cholesky(at: &impl Fn(usize, usize) -> f64, scale: &[f64], active: &[usize]) -> Vec<f64> {
    let n = active.len();
    let mut lower = vec![0.0; n * n];
    for row in 0..n {
        for column in 0..=row {
            let (j, k) = (active[row], active[column]);
            let mut value = at(j, k) / (scale[j] * scale[k]);
            value -= (0..column)
                .map(|i| lower[row * n + i] * lower[column * n + i])
                .sum::<f64>();
            lower[row * n + column] = match row == column {
                true => (value + RIDGE).max(RIDGE).sqrt(),
                false => value / lower[column * n + column],
            };
        }
    }
    lower
}

/// The solution without conditions for some columns, by Cholesky's decomposition.
fn solve(
    at: &impl Fn(usize, usize) -> f64,
    c: &[f64],
    scale: &[f64],
    active: &[usize],
) -> Vec<f64> {
    let n = active.len();
    let lower = cholesky(at, scale, active);
    let mut solution = vec![0.0; n];
    for row in 0..n {
        let known: f64 = (0..row).map(|i| lower[row * n + i] * solution[i]).sum();
        solution[row] = (c[active[row]] / scale[active[row]] - known) / lower[row * n + row];
    }
    for row in (0..n).rev() {
        let known: f64 = (row + 1..n).map(|i| lower[i * n + row] * solution[i]).sum();
        solution[row] = (solution[row] - known) / lower[row * n + row];
    }
    for (value, j) in solution.iter_mut().zip(active) {
        *value /= scale[*j];
    }
    solution
}
