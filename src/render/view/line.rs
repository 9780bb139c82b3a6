//! One step in words.

use super::diff::{DiffLine, diff};
use super::notice::place;
use super::{Detail, Item, Line, Symbol, refused};
use crate::nix::store_path::StorePath;
use crate::plan::address::Address;
use crate::plan::drops::PathsToDrop;
use crate::plan::drops::{DropReason, PathToDrop};
use crate::plan::observed::Nar;
use crate::plan::plan::{Plan, Refusal};
use crate::plan::record::FOLDER;
use crate::plan::service::record::KEPT_DAYS;
use crate::plan::step::{Known, Op, PathToPush, PinToRecord, RootToWrite, Selector, Step};
use crate::plan::summary::Kind;
use crate::plan::time::Time;
use crate::render::layout::safe;
use crate::render::units::{count, duration, list, size, things};

/// Unchanged lines around a change of a file.
const CONTEXT: usize = 1;

/// Paths of one line that are worded unless everything is to be shown.
const ITEMS: usize = 100;

pub(super) fn line(plan: &Plan, step: &Step, detail: Detail) -> Line {
    let refusal = refusal_of(plan, step);
    let mut line = Line {
        symbol: if refusal.is_some() {
            Symbol::Refusal
        } else {
            symbol(step.op.kind())
        },
        label: String::new(),
        remark: String::new(),
        count: String::new(),
        bytes: String::new(),
        place: place(plan, &step.because),
        note: String::new(),
        fine_print: fine_print(plan, step),
        diff: Vec::new(),
        items: Vec::new(),
        more: 0,
    };
    let mut notes: Vec<String> = refusal.map(refused).into_iter().collect();
    let most = if detail == Detail::Full {
        usize::MAX
    } else {
        ITEMS
    };
    fill(plan, step, &mut line, &mut notes, most);
    if notes.is_empty() {
        notes.push(safe(&step.because.rule));
    }
    line.note = notes.join("; ");
    line
}

fn fill(plan: &Plan, step: &Step, line: &mut Line, notes: &mut Vec<String>, most: usize) {
    if let Some((path, before, after)) = step.op.file() {
        line.label = safe(path);
        line.diff = file_diff(before, after);
        if matches!(step.op, Op::EditFile { .. }) && before.is_some() {
            notes.push("your file; this part is ours".to_owned());
        }
    }
    match &step.op {
        Op::GenerateKey { cache, path, name } => {
            line.label = safe(path);
            notes.push(format!(
                "new signing key `{}` for {}",
                safe(name),
                safe(cache.as_str())
            ));
        }
        Op::WriteLogin {
            cache,
            path,
            host,
            replaces,
        } => {
            line.label = safe(path);
            let what = if *replaces {
                "another password"
            } else {
                "no password"
            };
            notes.push(format!(
                "the token of {} for {}, which has {what} there; not shown",
                safe(cache.as_str()),
                safe(host)
            ));
        }
        Op::CreateCache {
            cache,
            folder,
            before,
            info,
        } => {
            line.label = safe(folder);
            notes.push(match before {
                None if folder.contains("://") => format!("new cache {}", safe(cache.as_str())),
                None => format!("new folder for the cache {}", safe(cache.as_str())),
                Some(_) if folder.contains("://") => {
                    format!("the key of {} is registered", safe(cache.as_str()))
                }
                Some(_) => format!("`nix-cache-info` of {}", safe(cache.as_str())),
            });
            line.diff = file_diff(before.as_deref(), info);
        }
        Op::ExportVariable {
            name,
            before,
            after,
            ..
        } => {
            line.label = safe(name);
            notes.push("for the later steps of this job".to_owned());
            line.diff = diff(before, after, CONTEXT);
        }
        Op::Warm { installable, paths } => {
            line.label = safe(installable);
            if !paths.is_empty() {
                line.count = things(paths.len() as u64, "path");
            }
            notes.push("fetched from the caches before anything is built".to_owned());
            line.list(paths, most, |path| plain(Symbol::Work, path));
        }
        Op::Build { installable, drv } => {
            line.label = safe(installable);
            notes.push("built here: no cache that answered has it".to_owned());
            line.items = drv.iter().map(|drv| plain(Symbol::Work, drv)).collect();
        }
        Op::WriteFile { .. } | Op::EditFile { .. } => {}
        Op::Push { .. }
        | Op::Pin { .. }
        | Op::Record { .. }
        | Op::Unpin { .. }
        | Op::Prune { .. }
        | Op::Sweep { .. } => {
            fill_of_cache(plan, step, line, notes, most);
        }
    }
}

/// The lines that stand under a cache.
fn fill_of_cache(plan: &Plan, step: &Step, line: &mut Line, notes: &mut Vec<String>, most: usize) {
    match &step.op {
        Op::Push {
            class,
            paths,
            selectors,
            roots,
            ..
        } => {
            line.label = safe(class.as_str());
            line.remark = priority(plan, class);
            push(plan, step, line, notes, (paths, selectors, roots));
            line.list(paths, most, pushed);
        }
        Op::Pin {
            name, add, remove, ..
        } => {
            line.label = format!("pin {}", safe(name.as_str()));
            line.count = things((add.len() + remove.len()) as u64, "path");
            if !add.is_empty() {
                notes.push(format!(
                    "{} kept as long as it is pinned here",
                    count(add.len() as u64)
                ));
            }
            if !remove.is_empty() {
                notes.push(format!(
                    "{} no longer pinned: {}",
                    count(remove.len() as u64),
                    safe(&step.because.rule)
                ));
            }
            line.items = add.iter().map(|path| plain(Symbol::Create, path)).collect();
            line.items
                .extend(remove.iter().map(|path| plain(Symbol::Delete, path)));
        }
        Op::Record {
            pins, is_public, ..
        } => record(line, notes, pins, *is_public),
        Op::Unpin { name, path, .. } => {
            line.label = format!("pin {}", safe(name));
            line.items = vec![plain(Symbol::Delete, path)];
        }
        Op::Prune {
            class,
            paths,
            roots,
            ..
        } => {
            line.label = safe(class.as_str());
            line.remark = priority(plan, class);
            line.count = things(paths.len() as u64, "path");
            line.bytes = format!("−{}", size(paths.bytes().iter().sum()));
            notes.extend(drop_reasons(paths, plan.now));
            if !roots.is_empty() {
                notes.push(format!(
                    "with {} that ended",
                    things(roots.len() as u64, "root")
                ));
            }
            line.items = paths
                .iter()
                .take(most)
                .map(|path| dropped(&path, plan.now))
                .collect();
            line.more = (paths.len() - line.items.len()) as u64;
        }
        Op::Sweep { objects, .. } => {
            "unneeded files".clone_into(&mut line.label);
            line.count = things(objects.len() as u64, "file");
            line.bytes = format!("−{}", size(objects.iter().map(|object| object.size).sum()));
            notes.push(format!(
                "{}; no narinfo names them, and they are older than prune.grace",
                kinds(objects)
            ));
            line.list(objects, most, |object| swept(object, plan.now));
        }
        Op::WriteFile { .. }
        | Op::EditFile { .. }
        | Op::GenerateKey { .. }
        | Op::WriteLogin { .. }
        | Op::CreateCache { .. }
        | Op::ExportVariable { .. }
        | Op::Warm { .. }
        | Op::Build { .. } => {}
    }
}

/// A record, and who can read it.
fn record(line: &mut Line, notes: &mut Vec<String>, pins: &[PinToRecord], is_public: bool) {
    "record".clone_into(&mut line.label);
    let (adopted, ours): (Vec<_>, Vec<_>) = pins.iter().partition(|pin| pin.adopted);
    if adopted.is_empty() {
        notes.push(format!(
            "what this run pushes and pins, kept for {KEPT_DAYS} days"
        ));
    } else {
        line.count = things(adopted.len() as u64, "pin");
        notes.push("to be ours from now: a prune ends them unless cache.yaml has them".to_owned());
    }
    if !ours.is_empty() {
        notes.push(format!(
            "with {} that are ours",
            things(ours.len() as u64, "pin")
        ));
    }
    if is_public {
        notes.push("everybody can read it, with project, commit and run".to_owned());
    }
    let item = |pin: &&PinToRecord| Item {
        symbol: if pin.adopted {
            Symbol::Change
        } else {
            Symbol::Renew
        },
        text: format!("{} {}", safe(&pin.name), pin.claim.path),
        bytes: String::new(),
        note: String::new(),
    };
    line.items = adopted.iter().chain(&ours).map(item).collect();
}

impl Line {
    /// Words the first of these.
    fn list<T>(&mut self, all: &[T], most: usize, word: impl Fn(&T) -> Item) {
        self.items = all.iter().take(most).map(word).collect();
        self.more = (all.len() - self.items.len()) as u64;
    }
}

/// What kinds of files these are, each with number and bytes.
fn kinds(objects: &[Nar]) -> String {
    let name = |object: &Nar| object.key.rsplit('/').next().unwrap_or_default().to_owned();
    let kind = |object: &Nar| {
        if object.key.starts_with(FOLDER) {
            "record of a dead push"
        } else if name(object).contains(".tmp.") {
            "temporary file"
        } else if object.key.starts_with("nar/") {
            "NAR"
        } else if name(object).strip_suffix(".ls").is_some() {
            "listing"
        } else {
            "other file"
        }
    };
    let all = [
        "NAR",
        "listing",
        "temporary file",
        "other file",
        "record of a dead push",
    ];
    let found = all.into_iter().filter_map(|word| {
        let of = objects.iter().filter(|object| kind(object) == word);
        let (number, bytes) = of.fold((0, 0), |(number, bytes), object| {
            (number + 1, bytes + object.size)
        });
        let words = if word.starts_with("record") && number > 1 {
            format!("{} records of dead pushes", count(number))
        } else {
            things(number, word)
        };
        (number > 0).then(|| format!("{words} ({})", size(bytes)))
    });
    list(&found.collect::<Vec<_>>())
}

/// The parts of a push.
type Pushed<'a> = (&'a [PathToPush], &'a [Selector], &'a [RootToWrite]);

fn push(
    plan: &Plan,
    step: &Step,
    line: &mut Line,
    notes: &mut Vec<String>,
    (paths, selectors, roots): Pushed,
) {
    if !paths.is_empty() {
        let sign = paths.iter().filter(|path| path.sign).count() as u64;
        line.count = things(paths.len() as u64, "path");
        line.bytes = size(paths.iter().map(PathToPush::bytes).sum());
        if sign > 0 {
            notes.push(format!(
                "{} there already, without our signature: signed",
                count(sign)
            ));
        }
        let anew = paths.iter().filter(|path| path.recompress).count() as u64;
        if anew > 0 {
            notes.push(format!(
                "{} there already, compressed by another method: to be compressed anew; their old files go after grace",
                count(anew)
            ));
        }
    } else if !selectors.is_empty() {
        "? paths".clone_into(&mut line.count);
    }
    if let Known::After { steps, cap } = &step.known {
        let more = if paths.is_empty() { "" } else { "more " };
        // A limit, not a guess: what goes beyond it is not pushed.
        let most = cap.map_or_else(String::new, |cap| {
            format!(
                "; nothing is pushed if they exceed {} (push.limits.after-build)",
                size(cap)
            )
        });
        notes.push(format!(
            "{more}paths known only after {}{most}",
            after_steps(plan, steps)
        ));
    }
    let unasked = paths.iter().filter(|path| path.unasked).count() as u64;
    if unasked > 0 {
        notes.push(format!(
            "`?` {} of them: no upstream could be asked, so taken as absent there",
            count(unasked)
        ));
    }
    let new = roots.iter().filter(|root| root.new).count() as u64;
    if paths.is_empty() && selectors.is_empty() && new > 0 {
        notes.push(format!(
            "all there; only {} to keep them",
            things(new, "new root")
        ));
    } else if new > 0 {
        notes.push(things(new, "new root"));
    }
}

/// The refusal that names this very step; one of the whole plan is said once, not on every line.
fn refusal_of<'a>(plan: &'a Plan, step: &Step) -> Option<&'a Refusal> {
    plan.refusals
        .iter()
        .find(|refusal| refusal.steps.contains(&step.address))
}

const fn symbol(kind: Kind) -> Symbol {
    match kind {
        Kind::Create | Kind::Push => Symbol::Create,
        Kind::Change => Symbol::Change,
        Kind::Delete => Symbol::Delete,
        Kind::Build | Kind::Fetch => Symbol::Work,
        Kind::Renew => Symbol::Renew,
    }
}

/// `build of .#a and key of dev`.
fn after_steps(plan: &Plan, steps: &[Address]) -> String {
    let name = |address: &Address| {
        let step = plan.steps.iter().find(|step| step.address == *address);
        match step.map(|step| &step.op) {
            Some(Op::Build { installable, .. }) => format!("the build of {}", safe(installable)),
            Some(Op::GenerateKey { cache, .. }) => {
                format!("the key of {} is made", safe(cache.as_str()))
            }
            _ => safe(address.as_str()),
        }
    };
    list(&steps.iter().map(name).collect::<Vec<_>>())
}

fn priority(plan: &Plan, class: &crate::config::model::ClassName) -> String {
    plan.priorities
        .get(class)
        .map_or_else(String::new, |priority| format!("priority {priority:>3}"))
}

fn fine_print(plan: &Plan, step: &Step) -> Vec<String> {
    let mut lines = vec![format!("step {}", safe(step.address.as_str()))];
    if !step.because.rule.is_empty() {
        let setting = if step.because.setting.is_empty() {
            String::new()
        } else {
            format!(" ({})", safe(&step.because.setting))
        };
        lines.push(format!("because {}{setting}", safe(&step.because.rule)));
    }
    // It names all that it would wait for; what is not in the plan needs no waiting.
    let names: Vec<String> = step
        .waits_for
        .iter()
        .filter(|address| plan.steps.iter().any(|step| step.address == **address))
        .map(|address| safe(address.as_str()))
        .collect();
    if !names.is_empty() {
        lines.push(format!("waits for {}", list(&names)));
    }
    lines
}

fn file_diff(before: Option<&str>, after: &str) -> Vec<DiffLine> {
    diff(before.unwrap_or_default(), after, CONTEXT)
}

/// Why paths go, the commonest reason first, with numbers if there are several reasons.
fn drop_reasons(paths: &PathsToDrop, now: Time) -> Vec<String> {
    let (mut ended, mut unreached, mut over, mut broken) = (0, 0, 0, 0);
    let (mut least, mut most) = (u64::MAX, 0);
    for reason in paths.reasons() {
        match reason {
            DropReason::NeedEnded(time) => {
                let ago = now.since(time).0;
                (least, most) = (least.min(ago), most.max(ago));
                ended += 1;
            }
            DropReason::Unreached => unreached += 1,
            DropReason::OverMaxSize => over += 1,
            DropReason::Broken => broken += 1,
        }
    }
    let oldest = duration(most);
    let words = if least == most {
        format!("need ended {oldest} ago")
    } else {
        format!("need ended up to {oldest} ago")
    };
    let mut reasons = [
        (ended, words),
        (unreached, "no root or pin reaches them".to_owned()),
        (over, "over max-size, lowest priority first".to_owned()),
        (broken, "broken, or they refer to what is".to_owned()),
    ];
    reasons.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    let several = reasons.iter().filter(|(number, _)| *number > 0).count() > 1;
    reasons
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, words)| {
            if several {
                format!("{}: {words}", count(number))
            } else {
                words
            }
        })
        .collect()
}

/// Why one path goes.
pub(in crate::render) fn drop_reason(reason: &DropReason, now: Time) -> String {
    match reason {
        DropReason::NeedEnded(time) => format!("need ended {} ago", duration(now.since(*time).0)),
        DropReason::Unreached => "no root or pin reaches it".to_owned(),
        DropReason::OverMaxSize => "over max-size".to_owned(),
        DropReason::Broken => "broken, or it refers to what is".to_owned(),
    }
}

fn plain(symbol: Symbol, path: &StorePath) -> Item {
    Item {
        symbol,
        text: safe(&path.to_string()),
        bytes: String::new(),
        note: String::new(),
    }
}

fn pushed(path: &PathToPush) -> Item {
    let mut notes = Vec::new();
    if let Some(directory) = &path.directory {
        notes.push(format!("from {}", safe(directory)));
    }
    if path.unasked {
        notes.push("no upstream could be asked".to_owned());
    }
    Item {
        symbol: if path.unasked {
            Symbol::Unknown
        } else {
            Symbol::Create
        },
        text: safe(&path.path.to_string()),
        bytes: size(path.nar_size),
        note: notes.join("; "),
    }
}

fn dropped(path: &PathToDrop, now: Time) -> Item {
    let bytes = if path.bytes == 0 {
        "shared NAR".to_owned()
    } else {
        size(path.bytes)
    };
    Item {
        symbol: Symbol::Delete,
        text: safe(&path.path.to_string()),
        bytes,
        note: drop_reason(&path.reason, now),
    }
}

fn swept(object: &Nar, now: Time) -> Item {
    Item {
        symbol: Symbol::Delete,
        text: safe(&object.key),
        bytes: size(object.size),
        note: format!("written {} ago", duration(now.since(object.modified).0)),
    }
}
