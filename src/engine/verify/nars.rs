//! The NAR files of a cache: those that are named and not there, those that are there and not named, and the
//! bytes of those that are read.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use super::inspect::inspect;
use super::{Listing, Look, Named, Question, each, unread};
use crate::engine::machine::sentence;
use crate::insight::verify::{Code, Finding, Verification, choose, judge_nar};
use crate::nix::store_path::HashPart;
use crate::plan::observed::Nar;
use crate::provider::binary_cache::observe::is_temporary;
use crate::provider::binary_cache::{Area, Meta, StoreError, narinfo_key};
use crate::transfer::progress::Progress;

/// Judges the NARs that narinfos name; `whole`: also what nobody names.
pub(super) fn judge(
    look: &Look<'_>,
    (named, spared, wanted): (&[Named], &[String], &HashSet<HashPart>),
    question: &Question,
    (listing, whole): (&Listing, bool),
    report: &mut Verification,
) {
    let mut files: HashMap<String, Meta> = HashMap::new();
    let mut leftovers: Vec<Nar> = Vec::new();
    let mut listed = report.checked.listed;
    if listed {
        let result = look.view.list(Area::Nars, &mut |listed| {
            let Some(meta) = listed.meta else { return };
            if is_temporary(listed.key) {
                leftovers.push(left(listed.key, &meta));
            } else {
                files.insert(listed.key.to_owned(), meta);
            }
        });
        if let Err(error) = result {
            report.findings.push(unread("nar", &error));
            listed = false;
        }
    }
    let mut there: Vec<&Named> = Vec::with_capacity(named.len());
    for one in named {
        let key = narinfo_key(one.hash);
        if one.url.contains("://") || one.url.contains('?') {
            let text = format!("`{}`", one.url);
            report
                .findings
                .push(Finding::new(Code::NarElsewhere, None, &key, text));
            continue;
        }
        let size = match files.get(&one.url) {
            Some(meta) => Some(meta.size),
            // Without a listing, opening it will tell.
            None if !listed => None,
            None => match missing(look, one) {
                Gone::Narinfo => continue,
                Gone::Nar(finding) => {
                    report.findings.push(finding);
                    continue;
                }
                Gone::Nothing(size) => Some(size),
            },
        };
        if let (Some(size), Some(said)) = (size, one.file_size)
            && size != said
        {
            if let Ok(Some(info)) = look.again(one.hash)
                && info.url == one.url
            {
                let text = format!(
                    "`{}` has {size} bytes, and its narinfo says {said}",
                    one.url
                );
                let path = Some(&info.store_path);
                report
                    .findings
                    .push(Finding::new(Code::FileSize, path, &key, text));
            }
            continue;
        }
        there.push(one);
    }
    report.checked.of_nars = count(named.iter().map(|one| one.url.as_str()));
    if whole && listed {
        let urls = named.iter().map(|one| one.url.as_str());
        let urls = urls.chain(spared.iter().map(String::as_str)).collect();
        orphans(look, &urls, &files, leftovers, listing, report);
    }
    bytes(look, &there, wanted, question, report);
}

/// How many different ones there are of what is in order.
fn count<'a>(urls: impl Iterator<Item = &'a str>) -> u64 {
    let mut last = None;
    let mut count = 0;
    for url in urls {
        if last != Some(url) {
            count += 1;
        }
        last = Some(url);
    }
    count
}

/// What is gone where a NAR was not listed.
enum Gone {
    /// The narinfo, too, or it names another NAR by now.
    Narinfo,
    /// The NAR.
    Nar(Finding),
    /// Nothing: it came after the listing, and is so large.
    Nothing(u64),
}

fn missing(look: &Look<'_>, one: &Named) -> Gone {
    let key = narinfo_key(one.hash);
    match look.view.head(&one.url) {
        Ok(Some(meta)) => return Gone::Nothing(meta.size),
        Ok(None) | Err(StoreError::BadKey(_)) => {}
        Err(error) => return Gone::Nar(unread(&one.url, &error)),
    }
    match look.again(one.hash) {
        Ok(Some(info)) if info.url == one.url => {
            let text = format!("there is no `{}`", one.url);
            Gone::Nar(Finding::new(
                Code::NarMissing,
                Some(&info.store_path),
                &key,
                text,
            ))
        }
        Ok(_) => Gone::Narinfo,
        Err(error) => Gone::Nar(unread(&key, &error)),
    }
}

fn left(key: &str, meta: &Meta) -> Nar {
    Nar {
        key: key.to_owned(),
        size: meta.size,
        modified: meta.modified,
    }
}

/// What nobody names.
fn orphans(
    look: &Look<'_>,
    names: &HashSet<&str>,
    files: &HashMap<String, Meta>,
    mut leftovers: Vec<Nar>,
    listing: &Listing,
    report: &mut Verification,
) {
    for (key, meta) in files
        .iter()
        .filter(|(key, _)| !names.contains(key.as_str()))
    {
        let text = format!("{} bytes, written {}", meta.size, meta.modified);
        report
            .findings
            .push(Finding::new(Code::NarOrphaned, None, key, text));
    }
    for key in &listing.others {
        let hash = key
            .strip_suffix(".ls")
            .and_then(|hash| hash.parse::<HashPart>().ok());
        let orphan = hash.is_some_and(|hash| !listing.hashes.contains(&hash));
        if (orphan || is_temporary(key))
            && let Ok(Some(meta)) = look.view.head(key)
        {
            leftovers.push(left(key, &meta));
        }
    }
    let strays = look.view.list(Area::Strays, &mut |listed| {
        if let Some(meta) = listed.meta.filter(|_| is_temporary(listed.key)) {
            leftovers.push(left(listed.key, &meta));
        }
    });
    if let Err(error) = strays {
        report.findings.push(super::unread("left-overs", &error));
    }
    for one in leftovers {
        let text = format!("{} bytes, written {}", one.size, one.modified);
        report
            .findings
            .push(Finding::new(Code::Leftover, None, &one.key, text));
    }
}

/// Reads the bytes of NARs: all, or a sample.
fn bytes(
    look: &Look<'_>,
    there: &[&Named],
    wanted: &HashSet<HashPart>,
    question: &Question,
    report: &mut Verification,
) {
    let mut groups: Vec<&[&Named]> = there.chunk_by(|a, b| a.url == b.url).collect();
    if let Some(count) = question.sample.filter(|count| *count < groups.len()) {
        let urls: Vec<&str> = groups.iter().map(|group| group[0].url.as_str()).collect();
        let chosen = choose(&urls, count, &question.seed);
        groups = chosen.into_iter().map(|place| groups[place]).collect();
        report.checked.seed = Some(question.seed.clone());
    }
    // The largest first, so that no core is left with it alone at the end.
    groups.sort_by_key(|group| std::cmp::Reverse(group[0].nar_size));
    let progress = look.progress;
    let all: u64 = groups.iter().map(|group| group[0].nar_size).sum();
    progress
        .paths_total
        .store(groups.len() as u64, Ordering::Relaxed);
    progress.paths_done.store(0, Ordering::Relaxed);
    progress.bytes_total.store(all, Ordering::Relaxed);
    let found: Mutex<(Vec<Finding>, u64, u64)> = Mutex::default();
    each(&groups, progress, |group| {
        let (findings, size) = read(look, group, wanted);
        Progress::add(&progress.paths_done, 1);
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        found.0.extend(findings);
        if let Some(size) = size {
            found.1 += 1;
            found.2 += size;
        }
    });
    let (findings, nars, nar_bytes) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.findings.extend(findings);
    report.checked.nars = nars;
    report.checked.nar_bytes = nar_bytes;
}

/// Reads one NAR file for all narinfos that name it; gives the bytes of the NAR, if it was read.
fn read(
    look: &Look<'_>,
    group: &[&Named],
    wanted: &HashSet<HashPart>,
) -> (Vec<Finding>, Option<u64>) {
    let (mut findings, mut size) = (Vec::new(), None);
    let mut infos = Vec::new();
    for one in group {
        match look.again(one.hash) {
            // Another one by now, or gone: that was no damage.
            Ok(Some(mut info)) if info.url == one.url => {
                // One that is of another path was said already.
                info.ca = info.ca.filter(|_| info.has_valid_ca(look.store_dir));
                infos.push(info);
            }
            Ok(_) => {}
            Err(error) => findings.push(unread(&narinfo_key(one.hash), &error)),
        }
    }
    // Narinfos of one NAR nearly always agree in everything that reading depends on.
    let mut read: Vec<(
        &crate::nix::narinfo::Compression,
        u64,
        crate::insight::verify::NarFacts,
    )> = Vec::new();
    for info in &infos {
        let key = narinfo_key(info.store_path.hash());
        let known = read.iter().find(|(how, size, _)| {
            **how == info.compression && *size == info.nar_size && infos.len() > 1
        });
        let facts = match known {
            Some((_, _, facts)) => facts.clone(),
            None => match look.view.open(&info.url) {
                Ok(Some(file)) => match inspect(file, info, wanted, look.progress) {
                    Ok(facts) => facts,
                    Err(_) if look.progress.is_stopped() => continue,
                    Err(error) => {
                        let text = sentence(&error);
                        findings.push(Finding::new(Code::ObjectUnread, None, &info.url, text));
                        continue;
                    }
                },
                Ok(None) => {
                    if let Ok(Some(again)) = look.again(info.store_path.hash())
                        && again.url == info.url
                    {
                        let text = format!("there is no `{}`", info.url);
                        let path = Some(&info.store_path);
                        findings.push(Finding::new(Code::NarMissing, path, &key, text));
                    }
                    continue;
                }
                Err(error) => {
                    findings.push(unread(&info.url, &error));
                    continue;
                }
            },
        };
        size = Some(facts.nar_size);
        findings.extend(judge_nar(&key, info, &facts));
        read.push((&info.compression, info.nar_size, facts));
    }
    (findings, size)
}
