//! A clock that is off, for one process: a library of a few lines that the linker of every Rust machine makes.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::bed::TestBed;

const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static long offset(void) {
  const char *text = getenv("TEST_CLOCK_OFFSET");
  return text ? atol(text) : 0;
}
int clock_gettime(clockid_t id, struct timespec *time) {
  int result = syscall(SYS_clock_gettime, id, time);
  if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) time->tv_sec += offset();
  return result;
}
"#;

/// Makes the library in a folder.
pub fn library(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("skew.c"), folder.join("skew.so"));
    std::fs::write(&source, SOURCE).unwrap();
    let mut command = Command::new("cc");
    command
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(&source);
    assert!(command.status().unwrap().success(), "cc makes a library");
    library
}

/// From now on the clock of this host is off by so many seconds.
pub fn set(bed: &mut TestBed, seconds: i64) {
    let library = library(bed.root());
    bed.set("LD_PRELOAD", library)
        .set("TEST_CLOCK_OFFSET", seconds.to_string());
}

/// From now on it is right again.
pub fn unset(bed: &mut TestBed) {
    bed.unset("LD_PRELOAD").unset("TEST_CLOCK_OFFSET");
}
