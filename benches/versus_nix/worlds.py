"""What is measured with: stores from files of this machine, databases and caches from a seed."""

import os
import random
import shutil
import sqlite3

ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz"

SCHEMA = """
pragma journal_mode = wal; pragma synchronous = off;
create table ValidPaths (id integer primary key autoincrement not null, path text unique not null,
  hash text not null, registrationTime integer not null, deriver text, narSize integer,
  ultimate integer, sigs text, ca text);
create table Refs (referrer integer not null, reference integer not null,
  primary key (referrer, reference), foreign key (referrer) references ValidPaths(id) on delete cascade,
  foreign key (reference) references ValidPaths(id) on delete restrict);
create index IndexReferrer on Refs(referrer);
create index IndexReference on Refs(reference);
create table DerivationOutputs (drv integer not null, id text not null, path text not null,
  primary key (drv, id), foreign key (drv) references ValidPaths(id) on delete cascade);
create index IndexDerivationOutputs on DerivationOutputs(path);
"""


def files_of_this_machine(seed, total, largest):
    """Regular files of at most `largest` bytes, in an order by the seed, until they have `total` bytes."""
    found = []
    for folder in ("/usr/lib", "/usr/share", "/usr/bin", "/usr/include", "/opt", "/usr/local"):
        for parent, folders, names in os.walk(folder):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(parent, name)
                try:
                    size = os.lstat(path).st_size if not os.path.islink(path) else 0
                except OSError:
                    continue
                if 0 < size <= largest and os.access(path, os.R_OK):
                    found.append((path, size))
    random.Random(seed).shuffle(found)
    sum_so_far = 0
    while found and sum_so_far < total:
        # A small machine has fewer bytes: then files come again.
        for path, size in found:
            if sum_so_far >= total:
                break
            sum_so_far += size
            yield path, size


def store(bench, name, paths, total, nix=None):
    """A Nix store with so many paths of together about so many bytes; answers its root and paths."""
    root = bench.work / name
    listed = bench.work / f"{name}.paths"
    if listed.exists():
        return root, listed.read_text().split()
    bench.begin(f"making a store: {paths} paths, {total / 1e6:.0f} MB")
    staging = bench.work / "staging"
    bench.remove(staging) if staging.exists() else None
    staging.mkdir()
    share, number, filled = total / paths, 0, 0
    # Large files only where a path has room for them.
    largest = min(32 << 20, int(share * 3))
    folder = staging / f"package-{number}"
    folder.mkdir()
    for at, (path, size) in enumerate(files_of_this_machine(bench.arguments.seed, total, largest)):
        shutil.copyfile(path, folder / f"{at}-{os.path.basename(path)}")
        filled += size
        if filled >= share * (number + 1) and number + 1 < paths:
            number += 1
            folder = staging / f"package-{number}"
            folder.mkdir()
    folders = sorted(staging.iterdir())
    env = bench.environment("home-store")
    added = []
    for at in range(0, len(folders), 100):
        command = ["nix-store", "--store", root, "--add", *folders[at : at + 100]]
        added += bench.check(command, env=env).split()
    bench.remove(staging)
    listed.write_text("\n".join(added) + "\n")
    return root, added


def one_file(bench, name, size):
    """A Nix store with one file: half of it is noise, half is easily compressed."""
    root = bench.work / name
    listed = bench.work / f"{name}.paths"
    if listed.exists():
        return root, listed.read_text().split()
    staging = bench.work / "large-file"
    noise = random.Random(bench.arguments.seed)
    with open(staging, "wb") as file:
        for _ in range(size >> 20):
            file.write(noise.randbytes(512 << 10) + b"nanna-cache " * (43_690) + b"12345678")
    added = bench.check(["nix-store", "--store", root, "--add", staging], env=bench.environment("home-store"))
    staging.unlink()
    listed.write_text(added)
    return root, added.split()


def database(bench, rows):
    """The database of a store with so many paths, ten references each, without the paths themselves."""
    root = bench.work / f"database-{rows}"
    folder = root / "nix/var/nix/db"
    file = folder / "db.sqlite"
    if (folder / "schema").exists():
        return root
    bench.begin(f"making a database of {rows} paths")
    folder.mkdir(parents=True, exist_ok=True)
    (root / "nix/store").mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    pick = random.Random(bench.arguments.seed)
    connection = sqlite3.connect(file)
    connection.executescript(SCHEMA)
    paths, references, outputs, last_drv = [], [], [], 1
    signature = "cache.example.org-1:" + "A" * 86 + "=="
    for row in range(1, rows + 1):
        is_drv = row % 3 == 1
        base = "".join(pick.choices(ALPHABET, k=32)) + f"-some-package-{row}-1.2.3"
        path = f"/nix/store/{base}{'.drv' if is_drv else ''}"
        paths.append((row, path, "sha256:" + pick.randbytes(32).hex(), 1700000000, 12345, signature))
        if is_drv:
            last_drv = row
        else:
            outputs.append((last_drv, f"out{row}", path))
        near = range(max(1, row - 5000), row + 1)
        references += [(row, to) for to in pick.sample(near, min(10, len(near)))]
        if row % 50_000 == 0 or row == rows:
            insert = "insert into ValidPaths (id, path, hash, registrationTime, narSize, sigs) values (?, ?, ?, ?, ?, ?)"
            connection.executemany(insert, paths)
            connection.executemany("insert into Refs values (?, ?)", references)
            connection.executemany("insert into DerivationOutputs values (?, ?, ?)", outputs)
            connection.commit()
            paths, references, outputs = [], [], []
    connection.execute("pragma wal_checkpoint(truncate)")
    connection.close()
    (folder / "schema").write_text("10")
    return root


def cache(bench, name, count):
    """A cache of so many paths in closures of fifty; the records of every second closure have ended."""
    folder = bench.work / name
    if not (bench.work / f"{name}.made").exists():
        bench.begin(f"making a cache of {count} paths")
        if folder.exists():
            bench.remove(folder)
        bench.check([bench.floor, "cache", folder, count, bench.arguments.seed])
        (bench.work / f"{name}.made").touch()
    return folder


def forget(bench, name):
    """Removes a cache, so that it is made again."""
    (bench.work / f"{name}.made").unlink(missing_ok=True)
    if (bench.work / name).exists():
        bench.remove(bench.work / name)


def configuration(bench, name, folder, compression="", store_paths=None):
    """Writes a cache.yaml for one cache in a folder; answers its file."""
    project = bench.work / f"project-{name}"
    project.mkdir(exist_ok=True)
    file = project / "cache.yaml"
    push = "push: { to: { it: all } }\n" if store_paths else ""
    file.write_text(
        f"""version: 1
project: versus-nix
caches:
  it:
    type: file
    path: {folder}
    signing-key: {{ file: {bench.work}/key.sec, generate: true }}
{compression}artifacts:
  kept:    {{ priority: 50, retention: 9000d, match: ['-no-such-name-'] }}
  expired: {{ priority: 10, retention: 30d, default: true }}
setup: {{ nix-conf: none }}
{push}prune: {{ limits: {{ share: 90% }} }}
"""
    )
    return file


def key(bench):
    """A signing key, of which Nix and we take the same file."""
    file = bench.work / "key.sec"
    if not file.exists():
        secret = bench.check(["nix", "key", "generate-secret", "--key-name", "versus-nix-1"], env=bench.environment("home-store"))
        file.write_text(secret)
        file.chmod(0o600)
    return file
