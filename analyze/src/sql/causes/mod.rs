//! Which route causes which SQL.
//!
//! Exactly, where statements name their request in a comment. Otherwise from counts: in bins of time,
//! the statements of a shape are a sum over routes of requests times statements a request, and what is
//! not negative and fits best is found by least squares. That works as far as routes do not always come
//! together: bins are drawn again many times, and what changes with the draw is not known well.

mod bins;
mod limits;
mod nnls;
mod requests;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use bins::Bins;
pub use requests::RequestIds;

use bins::wider;
use limits::{ROUTES, SHAPES};

/// How often the bins are drawn again.
const DRAWS: usize = 40;
/// Of the draws' results, how many (in 1) are below `low` and above `high` each.
const TAIL: f64 = 0.05;
/// Fewer statements a request, and less of a shape's statements, are not told.
const LEAST_PER_REQUEST: f64 = 0.01;
const LEAST_SHARE: f64 = 0.01;
/// With fewer bins nothing can be said.
const LEAST_BINS: usize = 8;
/// Bins are made wider as long as there are so many left, and so many for each route.
const ENOUGH_BINS: usize = 60;
const BINS_A_ROUTE: usize = 5;
/// A route of whose ups and downs only this part is its own is half sure at most.
const HALF_SURE: f64 = 0.1;
/// Fewer requests than this do not carry a claim of certainty.
const FEW_REQUESTS: f64 = 2.0;

/// How a cause was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// The statements name their request.
    RequestId,
    /// Their number goes with that of the requests.
    TimeBins,
}

/// A route and the SQL that it causes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Causes {
    /// The route's number.
    pub route: u32,
    /// The shape's number.
    pub shape: u32,
    /// Statements a request.
    pub per_request: f64,
    /// It is hardly less than this,
    pub low: f64,
    /// and hardly more than this (5% of what the data allow are below and above).
    pub high: f64,
    /// Which part of the shape's statements this route causes, from 0 to 1.
    pub share_of_shape: f64,
    /// How sure this is, from 0 to 1: near 0 when the routes cannot be told apart.
    pub confidence: f64,
    /// How it was found.
    pub source: Source,
}

/// Which route causes which SQL, the route with the smallest number first, and of its shapes those with
/// most statements. A shape that request ids explain is left out of the guess by time.
pub fn causes(bins: &Bins, ids: &RequestIds) -> Vec<Causes> {
    let mut found = exact(ids);
    let known: std::collections::BTreeSet<u32> = found.iter().map(|it| it.shape).collect();
    found.extend(
        by_time(bins)
            .into_iter()
            .filter(|it| !known.contains(&it.shape)),
    );
    found.sort_by(|a, b| {
        let by_count = b.per_request.total_cmp(&a.per_request);
        a.route
            .cmp(&b.route)
            .then(by_count)
            .then(a.shape.cmp(&b.shape))
    });
    found
}

/// What the request ids say.
fn exact(ids: &RequestIds) -> Vec<Causes> {
    let mut requests = BTreeMap::<u32, u64>::new();
    let mut all = BTreeMap::<u32, f64>::new();
    // Sum and sum of squares.
    let mut pairs = BTreeMap::<(u32, u32), (f64, f64)>::new();
    for (route, shapes) in ids.known() {
        *requests.entry(route).or_default() += 1;
        for (shape, count) in shapes {
            let count = f64::from(*count);
            *all.entry(*shape).or_default() += count;
            let (sum, squares) = pairs.entry((route, *shape)).or_default();
            *sum += count;
            *squares += count * count;
        }
    }
    let cause = |((route, shape), (sum, squares)): (&(u32, u32), &(f64, f64))| {
        let requests = *requests.get(route)? as f64;
        let mean = sum / requests;
        let variance = (squares / requests - mean * mean).max(0.0);
        // 5% of a normal distribution are further than 1.645 deviations to one side.
        let margin = 1.645 * (variance / requests).sqrt();
        let share = sum / all.get(shape)?.max(1.0);
        (mean >= LEAST_PER_REQUEST || share >= LEAST_SHARE).then_some(Causes {
            route: *route,
            shape: *shape,
            per_request: mean,
            low: (mean - margin).max(0.0),
            high: mean + margin,
            share_of_shape: share,
            confidence: requests / (requests + FEW_REQUESTS),
            source: Source::RequestId,
        })
    };
    pairs.iter().filter_map(cause).collect()
}

/// Counts as a matrix: a row for each bin, a column for each number.
struct Matrix {
    numbers: Vec<u32>,
    totals: Vec<f64>,
    /// By bin: column and count.
    rows: Vec<Vec<(usize, f64)>>,
}

impl Matrix {
    /// The columns with the largest totals, at most `most`.
    fn of(bins: &BTreeMap<i64, Vec<(u32, u32)>>, times: &[i64], most: usize) -> Self {
        let mut totals = BTreeMap::<u32, f64>::new();
        for (number, count) in bins.values().flatten() {
            *totals.entry(*number).or_default() += f64::from(*count);
        }
        let mut order: Vec<_> = totals.into_iter().collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        order.truncate(most);
        let columns: BTreeMap<u32, usize> =
            order.iter().zip(0..).map(|(it, at)| (it.0, at)).collect();
        let row = |time: &i64| {
            let counts = bins.get(time).map(Vec::as_slice).unwrap_or_default();
            let counts = counts
                .iter()
                .filter_map(|(number, count)| Some((*columns.get(number)?, f64::from(*count))));
            counts.collect()
        };
        Self {
            rows: times.iter().map(row).collect(),
            numbers: order.iter().map(|it| it.0).collect(),
            totals: order.iter().map(|it| it.1).collect(),
        }
    }
}

/// What the counts in bins of time say.
fn by_time(bins: &Bins) -> Vec<Causes> {
    let mut width = bins.routes.common_width(&bins.shapes);
    let mut data = Data::at(bins, width);
    if data.bins() < LEAST_BINS {
        return Vec::new();
    }
    // Statements of a request lie in the bin before the one that it ends in, if only the request does
    // not: the fewer borders, the better, as long as there are more bins than routes by far.
    let enough = ENOUGH_BINS.max(BINS_A_ROUTE * data.routes.numbers.len());
    let mut next = Data::at(bins, wider(width));
    while next.bins() >= enough {
        width = wider(width);
        data = next;
        next = Data::at(bins, wider(width));
    }
    let other_borders = (next.bins() > next.routes.numbers.len() + 1).then(|| {
        let fit = Fit::new(&next);
        fit.solve(&vec![1.0; next.bins()])
    });
    Fit::new(&data).causes(other_borders.as_deref())
}

/// The counts at a width.
struct Data {
    routes: Matrix,
    shapes: Matrix,
}

impl Data {
    fn at(bins: &Bins, width: i64) -> Self {
        let (routes, shapes) = (bins.routes.bins(width), bins.shapes.bins(width));
        let ends = |map: &BTreeMap<i64, Vec<(u32, u32)>>| {
            Some((*map.keys().next()?, *map.keys().next_back()?))
        };
        // Only the time that both logs tell of; what is before or behind says nothing.
        let mut times = Vec::new();
        if let (Some(one), Some(other)) = (ends(&routes), ends(&shapes)) {
            let (from, to) = (one.0.max(other.0), one.1.min(other.1));
            let all = routes.keys().chain(shapes.keys());
            times.extend(all.filter(|time| (from..=to).contains(*time)));
        }
        times.sort_unstable();
        times.dedup();
        Self {
            routes: Matrix::of(&routes, &times, ROUTES),
            shapes: Matrix::of(&shapes, &times, SHAPES),
        }
    }

    fn bins(&self) -> usize {
        self.routes.rows.len()
    }
}

/// The least squares of all shapes.
struct Fit<'a> {
    routes: &'a Matrix,
    shapes: &'a Matrix,
    /// By bin. Counts vary with their root: a bin with many statements counts for less.
    weights: Vec<f64>,
}

impl<'a> Fit<'a> {
    fn new(data: &'a Data) -> Self {
        let sum = |row: &Vec<(usize, f64)>| row.iter().map(|it| it.1).sum::<f64>();
        let shapes = &data.shapes;
        let mean = shapes.rows.iter().map(sum).sum::<f64>() / shapes.rows.len().max(1) as f64;
        let weights = shapes.rows.iter();
        let weights = weights.map(|row| 1.0 / (sum(row) + 0.1 * mean + 1.0));
        Self {
            weights: weights.collect(),
            routes: &data.routes,
            shapes,
        }
    }

    /// Columns: the routes, and one for what comes all the time whatever is asked for.
    fn columns(&self) -> usize {
        self.routes.numbers.len() + 1
    }

    /// By route: which part of its ups and downs is its own, and not also that of other routes. Near 0
    /// it cannot be told apart from them.
    fn own_parts(&self) -> Vec<f64> {
        let columns = self.columns();
        let mut gram = vec![0.0; columns * columns];
        for (routes, weight) in self.routes.rows.iter().zip(&self.weights) {
            let all = || routes.iter().copied().chain([(columns - 1, 1.0)]);
            for (row, count) in all() {
                for (column, other) in all() {
                    gram[row * columns + column] += weight * count * other;
                }
            }
        }
        let weight: f64 = self.weights.iter().sum();
        let inverse = nnls::inverse_diagonal(&gram, columns);
        let part = |route: usize| {
            let sum = gram[route * columns + columns - 1];
            let spread = gram[route * columns + route] - sum * sum / weight.max(f64::MIN_POSITIVE);
            match inverse[route] {
                Some(inverse) if spread > 0.0 => (1.0 / (inverse * spread)).clamp(0.0, 1.0),
                _ => 0.0,
            }
        };
        (0..columns - 1).map(part).collect()
    }

    /// Statements a request by shape and column, where bin `b` counts `times[b]` times.
    fn solve(&self, times: &[f64]) -> Vec<Vec<f64>> {
        let columns = self.columns();
        let mut gram = vec![0.0; columns * columns];
        let mut products = vec![0.0; columns * self.shapes.numbers.len()];
        let bins = self.routes.rows.iter().zip(&self.shapes.rows);
        for ((routes, shapes), (weight, times)) in bins.zip(self.weights.iter().zip(times)) {
            let weight = weight * times;
            if weight == 0.0 {
                continue;
            }
            let all = || routes.iter().copied().chain([(columns - 1, 1.0)]);
            for (row, count) in all() {
                for (column, other) in all() {
                    gram[row * columns + column] += weight * count * other;
                }
                for (shape, other) in shapes {
                    products[shape * columns + row] += weight * count * other;
                }
            }
        }
        products
            .chunks(columns)
            .map(|c| nnls::nnls(&gram, c))
            .collect()
    }

    /// `wide` is the solution with fewer borders between bins: what differs depends on borders, and is
    /// not known.
    fn causes(&self, wide: Option<&[Vec<f64>]>) -> Vec<Causes> {
        let bins = self.weights.len();
        let best = self.solve(&vec![1.0; bins]);
        let mut random = Random(0x1505_2026);
        let draws: Vec<_> = (0..DRAWS)
            .map(|_| self.solve(&draw(bins, &mut random)))
            .collect();
        let quality = self.quality(&best);
        let own_parts = self.own_parts();
        let mut found = Vec::new();
        for (shape, solution) in best.iter().enumerate() {
            for (route, per_request) in solution.iter().enumerate().take(self.columns() - 1) {
                let mut seen: Vec<f64> = draws.iter().map(|draw| draw[shape][route]).collect();
                seen.sort_by(f64::total_cmp);
                let share =
                    per_request * self.routes.totals[route] / self.shapes.totals[shape].max(1.0);
                if *per_request < LEAST_PER_REQUEST || share < LEAST_SHARE {
                    continue;
                }
                let tail = (TAIL * DRAWS as f64) as usize;
                let (low, high) = (
                    seen[tail].min(*per_request),
                    seen[DRAWS - 1 - tail].max(*per_request),
                );
                let other = wide.and_then(|wide| wide.get(shape)?.get(route).copied());
                let other = other.unwrap_or(*per_request);
                let (low, high) = (low.min(other), high.max(other));
                let spread = (high - low) / 2.0 / per_request;
                let own = own_parts[route] / (own_parts[route] + HALF_SURE);
                let present = seen.iter().filter(|it| **it > per_request / 4.0).count();
                let present = present as f64 / DRAWS as f64;
                found.push(Causes {
                    route: self.routes.numbers[route],
                    shape: self.shapes.numbers[shape],
                    per_request: *per_request,
                    low,
                    high,
                    share_of_shape: share.min(1.0),
                    confidence: present * own * (1.0 - spread).clamp(0.0, 1.0) * quality[shape],
                    source: Source::TimeBins,
                });
            }
        }
        found
    }

    /// By shape, which part of its ups and downs the routes explain, held against how many numbers
    /// were free to explain it.
    fn quality(&self, solutions: &[Vec<f64>]) -> Vec<f64> {
        let bins = self.weights.len() as f64;
        let shapes = self.shapes.numbers.len();
        let weight: f64 = self.weights.iter().sum();
        let mut means = vec![0.0; shapes];
        for (row, w) in self.shapes.rows.iter().zip(&self.weights) {
            row.iter()
                .for_each(|(shape, count)| means[*shape] += w * count / weight);
        }
        let (mut left, mut all) = (vec![0.0; shapes], vec![0.0; shapes]);
        let rows = self
            .routes
            .rows
            .iter()
            .zip(&self.shapes.rows)
            .zip(&self.weights);
        for ((routes, counts), w) in rows {
            let mut seen = vec![0.0; shapes];
            counts
                .iter()
                .for_each(|(shape, count)| seen[*shape] = *count);
            for (shape, solution) in solutions.iter().enumerate() {
                let fitted: f64 = routes
                    .iter()
                    .map(|(route, count)| count * solution[*route])
                    .sum();
                let fitted = fitted + solution.last().copied().unwrap_or(0.0);
                left[shape] += w * (seen[shape] - fitted).powi(2);
                all[shape] += w * (seen[shape] - means[shape]).powi(2);
            }
        }
        let quality = |shape: usize| {
            let free = solutions[shape].iter().filter(|it| **it > 0.0).count() as f64;
            let explained = 1.0 - left[shape] / all[shape].max(f64::MIN_POSITIVE);
            // Adjusted for the free numbers, of which noise explains some by itself.
            let adjusted = 1.0 - (1.0 - explained) * (bins - 1.0) / (bins - free - 1.0).max(0.5);
            adjusted.clamp(0.0, 1.0)
        };
        (0..shapes).map(quality).collect()
    }
}

/// How often each bin is drawn, when as many are drawn as there are. Neighbours are drawn together:
/// what happens in one bin still happens in the next.
fn draw(bins: usize, random: &mut Random) -> Vec<f64> {
    let block = (bins / 20).clamp(1, 5);
    let mut times = vec![0.0; bins];
    let mut drawn = 0;
    while drawn < bins {
        let start = random.below(bins);
        for place in 0..block.min(bins - drawn) {
            times[(start + place) % bins] += 1.0;
        }
        drawn += block;
    }
    times
}

/// SplitMix64, so that the same data give the same answer.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}
