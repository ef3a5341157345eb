//! `[score]` and `[fail]`.

use isukit_proto::nearest;

use super::error::ScenarioError;
use super::table::{Complain, Item, MAX_NAME, Table, listed};
use crate::score::{Bonus, FailRules, Points, Rule, ScoreRules, Tag};

type Result<T> = std::result::Result<T, ScenarioError>;

/// Tags of a scenario.
const MAX_TAGS: usize = 256;

/// Steps of a bonus.
const MAX_STEPS: usize = 1000;

/// Keys of `[score]` that are no tags.
const RESERVED: [&str; 3] = ["error", "timeout", "bonus"];

/// Read `[score]`.
pub(super) fn score(table: &Table<'_>) -> Result<ScoreRules> {
    let mut rules = ScoreRules::default();
    for item in table.items() {
        if RESERVED.contains(&item.key) {
            continue;
        }
        let name = item.named("a tag")?.to_owned();
        if rules.tags.len() == MAX_TAGS {
            return Err(item.key_error(format_args!("more than {MAX_TAGS} tags")));
        }
        rules.tags.push(Tag {
            name,
            rule: rule(&item)?,
        });
    }
    rules.error = deduction(table, "error")?;
    rules.timeout = deduction(table, "timeout")?;
    if let Some(table) = table.table("bonus", "[score.bonus]")? {
        rules.bonus = Some(bonus(&table, &rules)?);
    }
    Ok(rules)
}

/// A number, or `{ per = 100, points = -100 }`.
fn rule(item: &Item<'_>) -> Result<Rule> {
    if item.is_number() {
        return Ok(Rule::each(points(item)?));
    }
    let example = "a number or { per = 100, points = -100 }";
    let table = item.table_like("this rule", example)?;
    table.only(&["per", "points"])?;
    Ok(Rule {
        per: table.need("per", example)?.count(1, 1_000_000_000)?,
        points: points(&table.need("points", example)?)?,
    })
}

fn points(item: &Item<'_>) -> Result<Points> {
    Points::try_from(item.number()?)
        .map_err(|error| item.error(format_args!("`{}`: {error}", item.key.escape_debug())))
}

/// What errors and timeouts cost.
fn deduction(table: &Table<'_>, key: &str) -> Result<Option<Rule>> {
    let Some(item) = table.get(key) else {
        return Ok(None);
    };
    let rule = rule(&item)?;
    if rule.points.is_positive() {
        return Err(item.error(format_args!(
            "`{key}` would add points for something bad; write -{}",
            rule.points
        )));
    }
    Ok(Some(rule))
}

fn bonus(table: &Table<'_>, rules: &ScoreRules) -> Result<Bonus> {
    table.only(&["by", "applies_to", "steps"])?;
    let by = table
        .need("by", "by = \"TAG OR COUNTER\"")?
        .text("\"contestants\"", MAX_NAME)?;
    let applies = match table.get("applies_to") {
        None => rules
            .tags
            .iter()
            .map(|tag| tag.rule.points.is_positive())
            .collect(),
        Some(item) => {
            let mut applies = vec![false; rules.tags.len()];
            for (item, name) in item.strings(MAX_TAGS, "[\"job_finished\"]")? {
                applies[tag(rules, name).map_err(|fault| item.error(fault))?] = true;
            }
            applies
        }
    };
    let example = "steps = [[60, 1.2], [120, 1.4]]";
    let item = table.need("steps", example)?;
    let mut steps: Vec<(u64, Points)> = Vec::new();
    for pair in item.array(MAX_STEPS, "[[60, 1.2]]")? {
        let [from, factor] = pair.array(2, "[60, 1.2]")?[..] else {
            return Err(pair.error("a step of the bonus is [COUNT, FACTOR], such as [60, 1.2]"));
        };
        let from = from.count(0, 1_000_000_000_000)?;
        let value = points(&factor)?;
        if !(0.0..=1000.0).contains(&value.value()) {
            return Err(factor.error("a factor is a number from 0 to 1000"));
        }
        if steps.last().is_some_and(|(last, _)| *last >= from) {
            return Err(pair.error("the counts of `steps` must increase; put them in order"));
        }
        steps.push((from, value));
    }
    if steps.is_empty() {
        return Err(item.error(format_args!("`steps` is empty; write {example}")));
    }
    Ok(Bonus {
        by: by.to_owned(),
        applies,
        steps,
    })
}

/// The index of a tag, or what to say when there is none of that name.
pub(super) fn tag(rules: &ScoreRules, name: &str) -> std::result::Result<usize, String> {
    rules.tag(name).ok_or_else(|| {
        let names = || rules.tags.iter().map(|tag| &*tag.name);
        let remedy = match nearest(name, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if rules.tags.is_empty() => "write it there with its points".to_owned(),
            None => format!("write it there with its points, or use {}", listed(names())),
        };
        format!("[score] has no tag `{}`; {remedy}", name.escape_debug())
    })
}

/// Read `[fail]`.
pub(super) fn fail(table: &Table<'_>) -> Result<FailRules> {
    table.only(&["errors_over", "timeouts_over", "score_at_most"])?;
    let count = |key| {
        let item = table.get(key);
        item.map(|item| item.count(0, i64::MAX as u64)).transpose()
    };
    Ok(FailRules {
        errors_over: count("errors_over")?,
        timeouts_over: count("timeouts_over")?,
        score_at_most: table
            .get("score_at_most")
            .map(|item| points(&item))
            .transpose()?,
    })
}
