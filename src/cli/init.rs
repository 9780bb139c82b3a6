//! `init`: a first `cache.yaml` from what is here, never over an existing file.

use std::fmt::Write as _;

use camino::Utf8Path;

use super::args::Init;
use super::context::{Context, FILE};
use super::error::Failure;
use crate::exit::Exit;
use crate::nix::conf::{ConfFile, Content};
use crate::nix::key::PublicKey;
use crate::sys::file::{self, FileError};

/// What was found that a first `cache.yaml` can use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Found {
    /// Name for the project.
    project: String,
    /// Whether the folder has a `flake.nix`.
    flake: bool,
    /// The system of this machine.
    system: String,
    /// An existing cache folder, as it is to be written.
    folder: Option<String>,
    /// Caches that Nix asks already: URL and keys.
    upstreams: Vec<(String, Vec<String>)>,
}

/// The cache that every Nix asks.
const NIXOS: (&str, &str) =
    ("https://cache.nixos.org", "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=");

pub(super) fn run(context: &Context, args: &Init) -> Result<Exit, Failure> {
    let text = text(&look(context));
    if args.print {
        context.output.result(&text)?;
        return Ok(Exit::Done);
    }
    let path = context.host.folder.join(FILE);
    let failed = |error: &FileError| Failure::of(error);
    if file::read_if_there(path.as_std_path(), u64::MAX).map_err(|error| failed(&error))?.is_some() {
        return Err(Failure::new(Exit::Failed, format!("write `{path}`: there is one already"))
            .help("--print shows what a first one would look like"));
    }
    file::write(path.as_std_path(), text.as_bytes(), 0o644).map_err(|error| failed(&error))?;
    context.output.note(&format!(
        "Wrote {path}.\nNext: look at it, then `nanna-cache reconcile` shows what it would do.\n"
    ));
    Ok(Exit::Done)
}

fn look(context: &Context) -> Found {
    let host = &context.host;
    let read = |path: &Utf8Path| file::read_if_there(path.as_std_path(), 1 << 20).ok().flatten();
    let mut upstreams = Vec::new();
    for conf in [Utf8Path::new("/etc/nix/nix.conf").to_owned(), host.xdg_config().join("nix/nix.conf")] {
        if let Some(bytes) = read(&conf) {
            add_upstreams(&mut upstreams, &ConfFile::parse(bytes));
        }
    }
    let folder = [".cache/nanna-coder/binary-cache", ".cache/nix-binary-cache"]
        .into_iter()
        .find(|folder| read(&host.home.join(folder).join("nix-cache-info")).is_some());
    Found {
        project: name(host.folder.file_name().unwrap_or_default()),
        flake: read(&host.folder.join("flake.nix")).is_some(),
        system: host.system.clone(),
        folder: folder.map(|folder| format!("~/{folder}")),
        upstreams,
    }
}

/// What of a folder's name can name a project.
fn name(folder: &str) -> String {
    let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let name: String = folder.chars().filter(allowed).take(100).collect();
    let name = name.trim_start_matches(['.', '_', '-']);
    if name.is_empty() { "project".to_owned() } else { name.to_owned() }
}

/// Adds the HTTP caches of a nix.conf with those of its keys that bear their name.
fn add_upstreams(upstreams: &mut Vec<(String, Vec<String>)>, conf: &ConfFile) {
    let words = |names: &[&str]| -> Vec<String> {
        let settings = conf.lines().iter().filter_map(|line| match &line.content {
            Content::Assignment { name, words } if names.contains(&name.as_str()) => Some(words),
            _ => None,
        });
        settings.flatten().cloned().collect()
    };
    let keys = words(&["trusted-public-keys", "extra-trusted-public-keys"]);
    for url in words(&["substituters", "extra-substituters"]) {
        let url = url.split('?').next().unwrap_or_default().trim_end_matches('/').to_owned();
        let Some(host) = url.strip_prefix("https://") else { continue };
        if url == NIXOS.0 || upstreams.iter().any(|(known, _)| *known == url) {
            continue;
        }
        let of_it = |key: &&String| key.starts_with(host) && key.parse::<PublicKey>().is_ok();
        let keys: Vec<String> = keys.iter().filter(of_it).cloned().collect();
        if !keys.is_empty() {
            upstreams.push((url, keys));
        }
    }
}

/// The text of a first `cache.yaml`.
fn text(found: &Found) -> String {
    let Found { project, system, .. } = found;
    let folder = found.folder.clone().unwrap_or_else(|| format!("~/.cache/{project}/binary-cache"));
    let mut upstreams = String::new();
    for (at, (url, keys)) in found.upstreams.iter().enumerate() {
        let _ = writeln!(
            upstreams,
            "  upstream-{}:                         # found in nix.conf\n    type: upstream\n    url: {url}\n    public-keys: [{}]",
            at + 1,
            keys.join(", ")
        );
    }
    let (flake, outputs) = if found.flake {
        (
            format!("flake: .\nsystems: [{system}]\n"),
            "    outputs: ['.#default']            # what is built and pushed; list your own outputs\n",
        )
    } else {
        (
            format!("# flake: .                            # there is no flake.nix here yet\nsystems: [{system}]\n"),
            "    # outputs: ['.#default']          # what is built and pushed\n    match: ['^.{{32}}-{project}']       # until then: paths by name\n",
        )
    };
    let outputs = outputs.replace("{{", "{").replace("}}", "}").replace("{project}", &regex::escape(project));
    format!(
        "# How the binary caches of {project} should be. `nanna-cache reconcile` shows the difference to how
# they are; `nanna-cache reconcile --apply` makes it go away. `nanna-cache schema` describes every key.
version: 1
project: {project}
{flake}
caches:
  local:                                # a binary cache in a folder of this machine
    type: file
    tier: 3                             # 1 shared, 2 CI job, 3 local: the order of asking is 3, 2, 1
    path: {folder}
    signing-key: {{ file: ~/.config/nanna-cache/{project}.sec, generate: true }}
    max-size: 20 GiB
  nixos:                                # only read: what it has is never pushed
    type: upstream
    url: {}
    public-keys: [{}]
{upstreams}
# The priority matrix: a path belongs to the first class that matches. A higher priority is pushed
# first and kept longer.
artifacts:
  releases:
    priority: 60
    retention: 90d
{outputs}  others:                               # everything else that those need
    priority: 20
    retention: 30d
    default: true

setup: {{ nix-conf: user }}               # user, system, none, or {{ dir: FOLDER }}

push:
  to: {{ local: all }}
  exclude: ['-source$']                 # names of paths that are never pushed

prune: {{ grace: 24h, foreign: keep }}    # what nobody recorded here is kept
",
        NIXOS.0, NIXOS.1
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(found: &Found) -> String {
        let text = text(found);
        match crate::config::read("cache.yaml", text.as_bytes()) {
            Ok((_, warnings)) => {
                assert!(warnings.is_empty(), "{}\n{text}", crate::render::problems::lines(&warnings));
            }
            Err(problems) => panic!("{}\n{text}", crate::render::problems::lines(&problems)),
        }
        text
    }

    #[test]
    fn whatever_is_found_the_text_is_valid() {
        let bare = Found { project: "x.y".into(), system: "x86_64-linux".into(), ..Found::default() };
        check(&bare);
        check(&Found { flake: true, ..bare.clone() });
        let key = NIXOS.1.replace("cache.nixos.org", "team.cachix.org");
        let conf = format!("extra-substituters = https://team.cachix.org/ https://a.b file:///x\ntrusted-public-keys = {key} {}\n", NIXOS.1);
        let mut upstreams = Vec::new();
        add_upstreams(&mut upstreams, &ConfFile::parse(conf));
        assert_eq!(upstreams, [("https://team.cachix.org".to_owned(), vec![key])]);
        check(&Found { upstreams, folder: Some("~/.cache/x".into()), flake: true, ..bare });
    }

    #[test]
    fn a_folder_names_the_project() {
        assert_eq!(name("nanna coder!"), "nannacoder");
        assert_eq!(name("-.x"), "x");
        assert_eq!(name("\u{1b}[2J"), "2J");
        assert_eq!(name("…"), "project");
    }
}
