//! stand-in
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind { Bool, Sandbox, Integer, List, Text }
pub(crate) fn kind(name: &str) -> Option<Kind> { match name { "keep-outputs"|"keep-derivations" => Some(Kind::Bool), "sandbox" => Some(Kind::Sandbox), "tarball-ttl" => Some(Kind::Integer), "system-features" => Some(Kind::List), "store" => Some(Kind::Text), _ => None } }
pub(crate) fn names() -> impl Iterator<Item=&'static str> { ["keep-outputs","keep-derivations"].into_iter() }
pub(crate) fn canonical(name: &str) -> &str { match name { "binary-caches" => "substituters", "build-max-jobs" => "max-jobs", o => o } }
