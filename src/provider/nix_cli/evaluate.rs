//! Evaluation: installable → derivation and the paths that a build of it would give.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use camino::Utf8Path;
use serde_json::{Map, Value};

use super::build::Built;
use super::installable::{qualify, shown};
use super::run::{Nix, NixError, succeeded};
use crate::nix::store_path::StorePath;
use crate::plan::observed::{Observation, OutputFacts, Why};

/// Evaluators at a time; each may take gigabytes.
const AT_ONCE: usize = 2;
/// Installables of one command line.
const BATCH: usize = 64;

impl Nix {
    /// Evaluates installables. Relative ones (`.#x`, `./dir#x`) are meant from `base`, the folder
    /// of `cache.yaml`; `.#x` belongs to `flake` (`.`: the flake in `base`). As few evaluations as
    /// possible: all in one, and only if that fails, smaller and smaller parts, so that every
    /// broken output has its own reason. Store paths are taken as they are. What is wrong with the project is
    /// [`Observation::Error`], with the place; what the machine or the network kept us from seeing is unknown.
    #[must_use]
    pub fn evaluate(
        &self,
        installables: &[String],
        flake: &str,
        base: &Utf8Path,
        stopped: &(dyn Fn() -> bool + Sync),
    ) -> BTreeMap<String, Observation<OutputFacts>> {
        let mut facts = BTreeMap::new();
        let mut ask: Vec<(&str, String)> = Vec::new();
        for installable in installables {
            match self.store_path(installable) {
                Some(path) if !path.is_derivation() => {
                    let outputs = BTreeMap::from([("out".to_owned(), path)]);
                    let known = OutputFacts {
                        outputs,
                        ..OutputFacts::default()
                    };
                    facts.insert(installable.clone(), Observation::Present(known));
                }
                // Newer versions take a bare derivation for the file itself.
                Some(_) if !installable.contains('^') && self.at_least(2, 13) => {
                    ask.push((installable, format!("{installable}^*")));
                }
                _ => ask.push((installable, qualify(installable, flake))),
            }
        }
        ask.sort_unstable();
        ask.dedup();
        let found = Mutex::new(facts);
        let work = Mutex::new(ask.chunks(BATCH).map(<[_]>::to_vec).collect::<Vec<_>>());
        // Work that is taken may be put back in halves, so an idle evaluator waits for the others.
        let busy = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    use std::sync::atomic::Ordering::SeqCst;
                    loop {
                        let part = {
                            let mut work = lock(&work);
                            let part = work.pop();
                            if part.is_some() {
                                busy.fetch_add(1, SeqCst);
                            } else if busy.load(SeqCst) == 0 {
                                return;
                            }
                            part
                        };
                        let Some(part) = part else {
                            std::thread::sleep(std::time::Duration::from_millis(5));
                            continue;
                        };
                        let mut outcome = self.evaluate_part(&part, base, true, stopped);
                        // What Nix remembers of a failure is not its reason.
                        if part.len() == 1
                            && outcome.as_ref().is_err_and(|error| !error.is_stopped())
                        {
                            outcome = self.evaluate_part(&part, base, false, stopped);
                        }
                        match outcome {
                            Ok(facts) => lock(&found).extend(facts),
                            Err(error) if part.len() == 1 || error.is_stopped() => {
                                let mut found = lock(&found);
                                for (installable, _) in &part {
                                    let seen = self.failure(installable, &error, flake, base);
                                    found.insert((*installable).to_owned(), seen);
                                }
                            }
                            Err(_) => {
                                let (left, right) = part.split_at(part.len() / 2);
                                lock(&work).extend([right.to_vec(), left.to_vec()]);
                            }
                        }
                        busy.fetch_sub(1, SeqCst);
                    }
                });
            }
        });
        found
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The names in an attribute set of the flake in `base`, such as `packages.x86_64-linux`; none
    /// where the flake has no such set.
    ///
    /// # Errors
    /// The flake does not evaluate, or has something else there.
    pub fn attribute_names(&self, set: &str, base: &Utf8Path) -> Result<Vec<String>, NixError> {
        let what = format!("list `.#{set}`");
        let command = self
            .with_features(Some(base))
            .args(["eval", "--json", "--no-write-lock-file"])
            .args([&format!(".#{set}"), "--apply", "builtins.attrNames"]);
        let text = match succeeded(&what, command.output()?) {
            Ok(text) => text,
            Err(error) if error.to_string().contains("does not provide attribute") => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        serde_json::from_str(&text).map_err(|error| NixError::Answer {
            what,
            message: error.to_string(),
        })
    }

    /// What follows from a failure for one output.
    fn failure<T>(
        &self,
        installable: &str,
        error: &NixError,
        flake: &str,
        base: &Utf8Path,
    ) -> Observation<T> {
        match error {
            // Whether a path is in the store is no matter of the project.
            NixError::Failed {
                message,
                place,
                elsewhere: false,
                ..
            } if self.store_path(installable).is_none() => {
                let place = place.as_ref().map_or_else(String::new, |place| {
                    format!(", at {}", Self::readable(place, flake, base))
                });
                Observation::Error(Why(format!("evaluation fails; Nix says: {message}{place}")))
            }
            _ => Observation::Unknown(Why(error.to_string())),
        }
    }

    /// A place as its author knows it: Nix names its own copy of a flake.
    fn readable(place: &str, flake: &str, base: &Utf8Path) -> String {
        let inside = match place.split_once("»/") {
            Some((source, inside)) => {
                (source.contains("path:") || source.contains("git+file:")).then_some(inside)
            }
            // The store may be elsewhere than the paths in it say.
            None => place
                .match_indices('/')
                .map(|(at, _)| &place[at + 1..])
                .find_map(|rest| {
                    let (name, inside) = rest.split_once('/')?;
                    name.parse::<StorePath>().is_ok().then_some(inside)
                }),
        };
        let Some(inside) = inside else {
            let own = place.strip_prefix(base.as_str());
            let own = own.and_then(|own| own.strip_prefix('/'));
            return own.unwrap_or(place).to_owned();
        };
        let mut parts = inside.rsplitn(3, ':');
        let (column, line) = (
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
        );
        let name = parts.next().unwrap_or_default();
        let copy = place.strip_suffix(&format!(":{line}:{column}"));
        let copy = copy.and_then(|copy| std::fs::read(copy).ok());
        // A repository may hold the flake in a folder of its own.
        let own = base.join(flake).ancestors().find_map(|folder| {
            let path = folder.join(name);
            let text = std::fs::read(&path).ok()?;
            copy.as_ref()
                .is_none_or(|copy| *copy == text)
                .then_some(path)
        });
        own.map_or_else(
            || place.to_owned(),
            |path| {
                let path = path.strip_prefix(base).unwrap_or(&path);
                format!("{path}:{line}:{column}")
            },
        )
    }

    /// The store path that an installable is, if it is one.
    fn store_path(&self, installable: &str) -> Option<StorePath> {
        let path = installable.split('^').next().unwrap_or_default();
        self.dir().parse(path).ok()
    }

    fn evaluate_part(
        &self,
        part: &[(&str, String)],
        base: &Utf8Path,
        remembered: bool,
        stopped: &dyn Fn() -> bool,
    ) -> Result<Vec<(String, Observation<OutputFacts>)>, NixError> {
        let names: Vec<&str> = part.iter().map(|(name, _)| *name).collect();
        let what = format!("evaluate {}", shown(&names));
        // A dry run evaluates and says which derivation and which of its outputs are meant;
        // without substitution it asks no cache.
        let command = self
            .with_features(Some(base))
            .args([
                "build",
                "--dry-run",
                "--json",
                "--no-link",
                "--no-write-lock-file",
            ])
            .args(["--option", "substitute", "false"])
            .args([
                "--option",
                "eval-cache",
                if remembered { "true" } else { "false" },
            ])
            // The second question is for the reason, and a trace says where.
            .args((!remembered).then_some("--show-trace"))
            .args(part.iter().map(|(_, full)| full.clone()));
        let text = succeeded(&what, command.run(stopped, &mut |_| {})?)?;
        let built = Built::read_all(&what, &text, self.dir())?;
        // A dry run answers in the order of the command line (2.8 and 2.34 do).
        if built.len() != part.len() {
            let message = format!("{} answers to {} questions", built.len(), part.len());
            return Err(NixError::Answer { what, message });
        }
        let drvs: Vec<&StorePath> = built
            .iter()
            .filter_map(|built| built.drv.as_ref())
            .collect();
        let systems = self.systems_of(&drvs, stopped)?;
        let facts = part.iter().zip(&built).map(|((name, _), built)| {
            let system = built.drv.as_ref().and_then(|drv| systems.get(drv).cloned());
            let facts = OutputFacts {
                drv: built.drv.clone(),
                outputs: built.outputs.clone(),
                system,
            };
            ((*name).to_owned(), Observation::Present(facts))
        });
        Ok(facts.collect())
    }

    /// The systems that derivations are built on.
    fn systems_of(
        &self,
        drvs: &[&StorePath],
        stopped: &dyn Fn() -> bool,
    ) -> Result<HashMap<StorePath, String>, NixError> {
        if drvs.is_empty() {
            return Ok(HashMap::new());
        }
        let what = "read the derivations";
        let words: &[&str] = if self.at_least(2, 15) {
            &["derivation", "show"]
        } else {
            &["show-derivation"]
        };
        let command = self
            .with_features(None)
            .args(words.iter().copied())
            .args(drvs.iter().map(|drv| self.dir().display(drv).to_string()));
        let text = succeeded(what, command.run(stopped, &mut |_| {})?);
        let text = text.map_err(NixError::of_machine)?;
        let odd = |message: String| NixError::Answer {
            what: what.to_owned(),
            message,
        };
        let value: Value = serde_json::from_str(&text).map_err(|error| odd(error.to_string()))?;
        let object = value
            .as_object()
            .ok_or_else(|| odd("not an object".to_owned()))?;
        let list: &Map<String, Value> = object
            .get("derivations")
            .and_then(Value::as_object)
            .unwrap_or(object);
        let mut systems = HashMap::new();
        for (path, derivation) in list {
            let base = path.rsplit('/').next().unwrap_or(path);
            let drv: StorePath = base.parse().map_err(|_| odd(format!("`{path}`")))?;
            if let Some(system) = derivation.get("system").and_then(Value::as_str) {
                systems.insert(drv, system.to_owned());
            }
        }
        Ok(systems)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
