//! `${NAME}` in string values: replaced from the environment before any value is read, `$$` stands for `$`.
//! Owns the grammar and the memory of which strings were secret, and which lack a variable that is not set.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use highwater_engine::diagnosis::Diagnosis;
use highwater_engine::settings::SecretText;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::codes;
use super::environment::Environment;
use super::source::{FieldPath, SourceFile};

/// What replacing left behind, by the place of each string.
#[derive(Default)]
pub(super) struct Interpolated {
    /// The text before it was replaced.
    raw: HashMap<Range<usize>, String>,
    /// Strings that could not be replaced; their errors are told.
    failed: Vec<Range<usize>>,
    /// Those of them that are right and only lack their variable here, until the table that has them claims them.
    unset: Vec<(Range<usize>, Diagnosis)>,
    /// Every variable that was read, with its value.
    pub(super) secrets: BTreeMap<String, SecretText>,
}

impl Interpolated {
    /// The text of a string before it was replaced, if it was.
    pub(super) fn raw(&self, span: &Range<usize>) -> Option<String> {
        self.raw.get(span).cloned()
    }

    /// The first variable-bearing text within a value.
    pub(super) fn secret_in(&self, value: &Spanned<DeValue<'_>>) -> Option<&str> {
        strings(value).find_map(|span| self.raw.get(&span)).map(String::as_str)
    }

    /// Takes what a table lacks: whoever reads it says what that stops.
    pub(super) fn claim_unset(&mut self, table: &DeTable<'_>) -> Vec<Diagnosis> {
        let within: Vec<_> = table.iter().flat_map(|(_, value)| strings(value)).collect();
        self.unset.extract_if(.., |(span, _)| within.contains(span)).map(|(_, fault)| fault).collect()
    }

    /// What no table claimed: everything needs it.
    pub(super) fn unclaimed(&mut self) -> Vec<Diagnosis> {
        self.unset.drain(..).map(|(_, fault)| fault).collect()
    }

    /// Whether a string within a value could not be replaced.
    pub(super) fn failed_in(&self, value: &Spanned<DeValue<'_>>) -> bool {
        strings(value).any(|span| self.failed.contains(&span))
    }
}

fn strings(value: &Spanned<DeValue<'_>>) -> Box<dyn Iterator<Item = Range<usize>>> {
    match value.get_ref() {
        DeValue::String(_) => Box::new(std::iter::once(value.span())),
        DeValue::Array(array) => Box::new(array.iter().flat_map(strings).collect::<Vec<_>>().into_iter()),
        DeValue::Table(table) => {
            Box::new(table.iter().flat_map(|(_, value)| strings(value)).collect::<Vec<_>>().into_iter())
        }
        _ => Box::new(std::iter::empty()),
    }
}

/// Replaces every `${NAME}` within a value, and tells each that cannot be.
pub(super) fn interpolate(
    value: &mut Spanned<DeValue<'_>>,
    at: &FieldPath,
    file: &SourceFile,
    environment: &Environment,
    done: &mut Interpolated,
    errors: &mut Vec<Diagnosis>,
) {
    let span = value.span();
    match value.get_mut() {
        DeValue::String(text) if text.contains('$') => match replace(text, environment) {
            Ok(replaced) => {
                if !replaced.variables.is_empty() {
                    done.raw.insert(span, text.to_string());
                }
                *text = replaced.text.into();
                done.secrets.extend(replaced.variables);
            }
            Err(Unreplaced { unset, message, next }) => {
                let fault = file.refusal(codes::VARIABLE, file.line(span.start), at.as_str(), message, next);
                if unset {
                    done.unset.push((span.clone(), fault));
                } else {
                    errors.push(fault);
                }
                done.failed.push(span);
            }
        },
        DeValue::Array(array) => {
            for (index, element) in array.iter_mut().enumerate() {
                let within = if element.get_ref().is_table() { at.element(index) } else { at.clone() };
                interpolate(element, &within, file, environment, done, errors);
            }
        }
        DeValue::Table(table) => {
            for (key, value) in table.iter_mut() {
                interpolate(value, &at.join(key.get_ref()), file, environment, done, errors);
            }
        }
        _ => {}
    }
}

#[derive(Debug, PartialEq)]
struct Replaced {
    text: String,
    variables: Vec<(String, SecretText)>,
}

#[derive(Debug, PartialEq)]
struct Unreplaced {
    /// The text is right, and its variable has no value here.
    unset: bool,
    message: String,
    next: String,
}

fn replace(text: &str, environment: &Environment) -> Result<Replaced, Unreplaced> {
    let mut replaced = Replaced { text: String::with_capacity(text.len()), variables: Vec::new() };
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        replaced.text.push_str(&rest[..dollar]);
        let after = &rest[dollar + 1..];
        if let Some(after) = after.strip_prefix('$') {
            replaced.text.push('$');
            rest = after;
        } else if let Some(after) = after.strip_prefix('{') {
            let (name, after) = after.split_once('}').ok_or_else(|| Unreplaced {
                unset: false,
                message: "found `${` without `}`, expected `${NAME}`".to_owned(),
                next: "close the brace, or write `$${` for a literal `${`".to_owned(),
            })?;
            let value = variable(name, environment)?;
            replaced.text.push_str(value);
            replaced.variables.push((name.to_owned(), SecretText::new(value)));
            rest = after;
        } else {
            replaced.text.push('$');
            rest = after;
        }
    }
    replaced.text.push_str(rest);
    Ok(replaced)
}

fn variable<'e>(name: &str, environment: &'e Environment) -> Result<&'e str, Unreplaced> {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(Unreplaced {
            unset: false,
            message: format!("found `${{{name}}}`, expected the name of an environment variable between the braces"),
            next: format!("name a variable, or write `$${{{name}}}` if a shell is to read it"),
        });
    }
    let value = environment.get(name).ok_or_else(|| Unreplaced {
        unset: true,
        message: format!("found `${{{name}}}`, but the environment variable `{name}` is not set"),
        next: format!(
            "set it before starting highwater (`export {name}=…`), or write `$${{{name}}}` for the text itself"
        ),
    })?;
    value.to_str().ok_or_else(|| Unreplaced {
        unset: true,
        message: format!("found `${{{name}}}`, but the value of `{name}` is not UTF-8"),
        next: format!("set `{name}` to UTF-8 text"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(text: &str) -> Result<(String, bool), String> {
        let environment = Environment::from_iter([("TOKEN", "s3cret"), ("EMPTY", ""), ("NESTED", "${TOKEN}")]);
        replace(text, &environment).map(|done| (done.text, !done.variables.is_empty())).map_err(|error| error.message)
    }

    #[test]
    fn variables_are_replaced_once_and_marked() {
        assert_eq!(replaced("Bearer ${TOKEN}!"), Ok(("Bearer s3cret!".to_owned(), true)));
        assert_eq!(replaced("${EMPTY}"), Ok((String::new(), true)));
        assert_eq!(replaced("${NESTED}"), Ok(("${TOKEN}".to_owned(), true)));
    }

    #[test]
    fn a_shells_dollars_stay() {
        assert_eq!(replaced("echo $1 $HOME $"), Ok(("echo $1 $HOME $".to_owned(), false)));
        assert_eq!(replaced("$${TOKEN} costs 5$$"), Ok(("${TOKEN} costs 5$".to_owned(), false)));
    }

    #[test]
    fn what_names_no_variable_is_refused() {
        for text in ["${", "${TOKEN", "${}", "${1}", "${A-b}", "${UNSET}", "a ${TOKEN:-x}"] {
            assert!(replaced(text).is_err(), "{text}");
        }
    }
}
