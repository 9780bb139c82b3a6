//! `doctor`: why a cache, or one path, is not used; with `--fix`, what is ours to mend is mended.

use clap::Parser as _;

use super::args::{AnswerFormat, Cli, Doctor};
use super::context::Context;
use super::error::Failure;
use super::phases;
use crate::engine::doctor::{Question, look_at};
use crate::engine::machine::{Machine, Options};
use crate::exit::Exit;
use crate::insight::doctor::{Diagnosis, diagnose};
use crate::nix::store_path::{StoreDir, StorePath};
use crate::plan::address::Address;
use crate::plan::desired::{Desired, Extra};
use crate::plan::observed::Observation;
use crate::provider::nix_store;
use crate::render::doctor as render;

/// What names a path.
const NAMES: &str = "name a store path, a link to one such as ./result, or an output such as .#x";

pub(super) fn run(context: &Context, args: &Doctor) -> Result<Exit, Failure> {
    let machine = Machine::new(context.host.clone(), Options::default());
    // Without a cache.yaml the settings of Nix are judged alone; one that is named, or wrong, is an error.
    let desired = if context.has_source() {
        Some(phases::desired(context.load()?, &machine, Extra::default()).0)
    } else {
        None
    };
    let base = desired
        .as_ref()
        .map_or(&context.host.folder, |it| &it.site.base);
    let question = Question {
        path: args
            .path
            .as_deref()
            .map(|text| path(context, &machine, desired.as_ref(), text))
            .transpose()?,
        deep: args.deep,
        base: base.clone(),
    };
    let judge = || {
        let facts = look_at(&machine, desired.as_ref(), &question);
        (diagnose(&facts), facts.now)
    };
    let (diagnosis, now) = judge();
    let layout = context.output.results();
    context.output.result(&match args.format {
        AnswerFormat::Text => render::text(&diagnosis, now, layout),
        AnswerFormat::Json => render::json(&diagnosis),
    })?;
    if !args.fix {
        return Ok(exit(&diagnosis));
    }
    let ended = mend(context, &diagnosis, args.yes)?;
    if ended != Exit::Done {
        return Ok(ended);
    }
    let (diagnosis, now) = judge();
    context
        .output
        .result(&render::text(&diagnosis, now, layout))?;
    Ok(exit(&diagnosis))
}

const fn exit(diagnosis: &Diagnosis) -> Exit {
    if diagnosis.healthy {
        Exit::Done
    } else {
        Exit::Check
    }
}

/// Plans and applies the steps that mend what was found, in the way of `reconcile --apply`.
fn mend(context: &Context, diagnosis: &Diagnosis, yes: bool) -> Result<Exit, Failure> {
    let mut steps: Vec<&str> = diagnosis
        .findings
        .iter()
        .flat_map(|finding| &finding.mended_by)
        .map(Address::as_str)
        .collect();
    steps.sort_unstable();
    steps.dedup();
    if steps.is_empty() {
        context.output.note("Nothing of it is ours to mend.\n");
        return Ok(exit(diagnosis));
    }
    let only = steps.join(",");
    let mut words = vec!["nanna-cache", "reconcile", "--apply", "--only", &only];
    words.extend(yes.then_some("--yes"));
    let inner = |why: String| Failure::new(Exit::Failed, format!("plan what mends it: {why}"));
    let cli = Cli::try_parse_from(words).map_err(|error| inner(error.to_string()))?;
    phases::run(context, &cli.command)?.ok_or_else(|| inner("nothing was meant".to_owned()))
}

/// The path that is meant.
fn path(
    context: &Context,
    machine: &Machine,
    desired: Option<&Desired>,
    text: &str,
) -> Result<StorePath, Failure> {
    let fail =
        |why: String| Failure::new(Exit::Failed, format!("examine `{text}`: {why}")).help(NAMES);
    let dir = machine
        .store
        .as_ref()
        .map_or_else(|_| StoreDir::default(), |at| at.store.clone());
    if let Ok((path, _)) = dir.containing(text) {
        return Ok(path);
    }
    if let Ok(path) = text.parse::<StorePath>() {
        return Ok(path);
    }
    if text.contains('#') || text == "." {
        let nix = match &machine.nix {
            Ok(Some(nix)) => nix,
            Ok(None) => return Err(fail("there is no Nix here to evaluate it".to_owned())),
            Err(why) => return Err(fail(why.clone())),
        };
        let flake = desired.map_or(".", |desired| desired.config.flake.as_str());
        let base = desired.map_or(&context.host.folder, |desired| &desired.site.base);
        let mut seen = nix.evaluate(&[text.to_owned()], flake, base, &|| false);
        return match seen.remove(text) {
            Some(Observation::Present(facts)) => {
                let path = facts.outputs.get("out").or(facts.outputs.values().next());
                path.cloned()
                    .ok_or_else(|| fail("its path is known only after a build".to_owned()))
            }
            Some(Observation::Unknown(why) | Observation::Error(why)) => Err(fail(why.0)),
            Some(Observation::Absent) | None => Err(fail("there is no such output".to_owned())),
        };
    }
    let location = machine.store.as_ref().map_err(|why| fail(why.clone()))?;
    match nix_store::resolve(location, &context.host.folder.join(text)) {
        Observation::Present(path) => Ok(path),
        Observation::Absent => Err(fail(
            "there is no such path, or the link leads to nothing".to_owned(),
        )),
        Observation::Unknown(why) | Observation::Error(why) => Err(fail(why.0)),
    }
}
