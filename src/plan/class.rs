//! Which artifact class a path belongs to, and why.
//!
//! A path belongs to the first class of `cache.yaml` that names it (as the top of one of its outputs,
//! or as one of its directories) or that has a pattern matching its base name; otherwise to the
//! default class. Every path has exactly one class.

use std::collections::BTreeMap;

use regex::RegexSet;

use crate::config::model::{Class, ClassName, Config};
use crate::config::units::Span;
use crate::nix::store_path::HashPart;

/// Number of a class: its place in `cache.yaml`.
pub type ClassId = usize;

/// Puts paths into classes.
#[derive(Debug)]
pub struct Classifier<'a> {
    config: &'a Config,
    patterns: RegexSet,
    /// Class and number of the pattern within the class, by number in the set.
    owners: Vec<(ClassId, usize)>,
    default: ClassId,
    named: BTreeMap<HashPart, ClassId>,
}

/// Why a path is in its class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClassRule {
    /// The class names it, as an output or a directory.
    Named,
    /// This pattern of the class matches its base name.
    Pattern(String),
    /// No class names or matches it.
    Default,
}

impl<'a> Classifier<'a> {
    /// A classifier for the classes of a valid configuration.
    ///
    /// # Panics
    /// Never for a configuration that was validated (its patterns compile, one class is the default).
    #[must_use]
    pub fn new(config: &'a Config) -> Self {
        let mut owners = Vec::new();
        let mut texts = Vec::new();
        for (id, class) in config.classes.values().enumerate() {
            for (number, pattern) in class.patterns.iter().enumerate() {
                owners.push((id, number));
                texts.push(pattern.as_str());
            }
        }
        Self {
            config,
            patterns: RegexSet::new(texts).expect("each pattern compiled when it was validated"),
            owners,
            default: config
                .classes
                .values()
                .position(|class| class.default)
                .expect("a valid configuration has a default class"),
            named: BTreeMap::new(),
        }
    }

    /// Says that `class` names the path with this hash part. The first class in the file wins.
    pub fn name(&mut self, hash: HashPart, class: &ClassName) {
        if let Some(id) = self.config.classes.get_index_of(class) {
            let known = self.named.entry(hash).or_insert(id);
            *known = id.min(*known);
        }
    }

    /// The class of a path.
    #[must_use]
    pub fn class(&self, hash: HashPart, base_name: &str) -> ClassId {
        self.explain(hash, base_name).0
    }

    /// The class of a path, and why.
    #[must_use]
    pub fn explain(&self, hash: HashPart, base_name: &str) -> (ClassId, ClassRule) {
        let named = self.named.get(&hash).copied();
        let matched = self
            .patterns
            .matches(base_name)
            .iter()
            .next()
            .map(|at| self.owners[at]);
        match (named, matched) {
            (Some(id), Some((class, _))) if id <= class => (id, ClassRule::Named),
            (Some(id), None) => (id, ClassRule::Named),
            (_, Some((id, number))) => {
                let pattern = self.config.classes[id].patterns[number].as_str();
                (id, ClassRule::Pattern(pattern.to_owned()))
            }
            (None, None) => (self.default, ClassRule::Default),
        }
    }

    /// The number of a class, if `cache.yaml` has it.
    #[must_use]
    pub fn id(&self, class: &ClassName) -> Option<ClassId> {
        self.config.classes.get_index_of(class)
    }

    /// The number of the class of this name, if `cache.yaml` has it.
    #[must_use]
    pub fn id_of(&self, name: &str) -> Option<ClassId> {
        self.config
            .classes
            .keys()
            .position(|class| class.as_str() == name)
    }

    /// Name of a class.
    ///
    /// # Panics
    /// When the number is not one that a classifier of the same configuration gave.
    #[must_use]
    pub fn name_of(&self, id: ClassId) -> &'a ClassName {
        self.config
            .classes
            .get_index(id)
            .expect("class numbers come from here")
            .0
    }

    /// A class by number.
    #[must_use]
    pub fn get(&self, id: ClassId) -> &'a Class {
        &self.config.classes[id]
    }

    /// Retention of a class.
    #[must_use]
    pub fn retention(&self, id: ClassId) -> Span {
        self.get(id).retention
    }

    /// Priority of a class.
    #[must_use]
    pub fn priority(&self, id: ClassId) -> u32 {
        self.get(id).priority
    }
}

#[cfg(test)]
mod tests;
