"""The rows: what is measured, against what, and how good it is to be."""

import os
import shutil

import worlds

NIX = "Nix"
NEW = "a current Nix"


def ours(bench, command, config, home, *more, nix=False, stdin=None, store=None):
    """Our own run of a command."""
    words = [bench.binary, command, "--config", config, *more]
    if store:
        words += ["--store", store]
    env = bench.environment(home, nix=nix)
    if stdin is None:
        return bench.time(words, env=env)
    with open(stdin, "rb") as file:
        return bench.time(words, env=env, stdin=file)


def nix_copies(bench, query):
    """The Nix programs at hand, as (name, words before the arguments)."""
    found = [(NIX, [bench.nix])] if bench.nix else []
    if bench.arguments.new_nix:
        program, *more = bench.arguments.new_nix.split()
        # It is started in another folder.
        program = shutil.which(program) or program
        found.append((NEW, [os.path.abspath(program) if os.sep in program else program, *more]))
    if not found:
        bench.leave_out(query, "there is no Nix here")
    return found


def prepared(bench, config, home):
    """Makes the empty cache of a configuration, as `setup` does once; not measured."""
    command = [bench.binary, "setup", "--config", config, "--apply", "--yes"]
    bench.check(command, env=bench.environment(home), cwd=bench.work)


def emptied(bench, name):
    folder = bench.work / name
    if folder.exists():
        bench.remove(folder)
    return folder


def push(bench, row, paths, total, method, targets):
    """Cold pushes of a whole store to a new folder."""
    if not bench.nix:
        return bench.leave_out(row, "there is no Nix here")
    root, added = worlds.store(bench, f"store-{paths}-{total}", paths, total)
    paths = len(added)
    listed = bench.work / f"{root.name}.paths"
    key = worlds.key(bench)
    # The first run after the making finds other pages warm than the later ones.
    bench.check(["sh", "-c", f"tar -cf - -C {root}/nix store | cat > /dev/null"])

    def we():
        target = emptied(bench, "pushed-ours")
        config = worlds.configuration(bench, f"push-{method}", target, compression(method), store_paths=True)
        prepared(bench, config, "home-push")
        return ours(bench, "push", config, "home-push", "--apply", "--yes", "--stdin", stdin=listed, store=root, nix=True)

    def they(words):
        def run():
            target = emptied(bench, "pushed-theirs")
            url = f"file://{target}?compression={method}&secret-key={key}"
            env = bench.environment("home-nix")
            return bench.time([*words, "copy", "--all", "--store", root, "--to", url], env=env)

        return run

    def plain():
        target = emptied(bench, "packed")
        target.mkdir()
        return bench.time(["sh", "-c", f"tar -cf - -C {root}/nix store | zstd -q -3 -T2 -o {target}/all.tar.zst"])

    nixes = nix_copies(bench, row)
    contestants = {"ours": we} | {name: they(words) for name, words in nixes}
    if "plain" in targets and shutil.which("zstd"):
        contestants["plain"] = plain
    found = bench.contest(**contestants)
    work = f"cold push of {paths} paths, {total / 1e6:.0f} MB of NAR, {method}"
    names = {"plain": "`tar -cf - store \\| zstd -3 -T2`"}
    for name, series in found.items():
        if name != "ours":
            bench.ratio(row, work, names.get(name, f"{name}, `nix copy`"), found["ours"], series, targets.get(name, targets[NIX]))
    return root, listed


def compression(method):
    return f"    compression: {{ method: {method} }}\n"


def row_1(bench):
    total = bench.count(2_200_000_000)
    push(bench, 1, bench.count(2_000), total, "zstd", {NIX: 0.46, NEW: 0.75, "plain": 1.0})


def row_2(bench):
    push(bench, 2, bench.count(200), bench.count(40_000_000), "xz", {NIX: 0.51})


def row_3(bench):
    """A plan when everything is there already."""
    if not bench.nix:
        return bench.leave_out(3, "there is no Nix here")
    paths = bench.count(2_000)
    root, added = worlds.store(bench, f"store-small-{paths}", paths, bench.count(40_000_000))
    paths = len(added)
    listed = bench.work / f"{root.name}.paths"
    key = worlds.key(bench)
    target = emptied(bench, "complete")
    config = worlds.configuration(bench, "complete", target, compression("zstd"), store_paths=True)
    prepared(bench, config, "home-complete")
    ours(bench, "push", config, "home-complete", "--apply", "--yes", "--stdin", stdin=listed, store=root, nix=True)

    def we():
        return ours(bench, "push", config, "home-complete", "--refresh", "--stdin", stdin=listed, store=root)

    def they(words):
        url = f"file://{target}?compression=zstd&secret-key={key}"

        def run():
            # Nix remembers for a month what it read; that would be no reading.
            emptied(bench, "home-nix")
            return bench.time([*words, "copy", "--all", "--store", root, "--to", url], env=bench.environment("home-nix"))

        return run

    found = bench.contest(ours=we, **{name: they(words) for name, words in nix_copies(bench, 3)})
    for name, series in found.items():
        if name != "ours":
            work = f"plan when all {paths} paths are there, each narinfo read and compared"
            bench.ratio(3, work, f"{name}, `nix copy` that copies nothing", found["ours"], series, 0.40)


def row_4(bench):
    """The database of the store."""
    sizes = [(bench.count(100_000), 0.035)]
    if bench.arguments.large:
        sizes.append((bench.count(1_000_000), 0.025))
    for rows, target in sizes:
        root = worlds.database(bench, rows)
        config = worlds.configuration(bench, "database", bench.work / "no-cache")
        file = root / "nix/var/nix/db/db.sqlite"
        contestants = {"ours": lambda root=root: ours(bench, "setup", config, "home-database", store=root)}
        if shutil.which("sqlite3"):
            dump = f"sqlite3 {file} 'select * from ValidPaths; select * from Refs' > /dev/null"
            contestants["dump"] = lambda dump=dump: bench.time(["sh", "-c", dump])
        found = bench.contest(**contestants)
        work = f"observing a database of {rows:,} paths with all references"
        if "dump" in found:
            bench.ratio(4, work, "`sqlite3 DB 'select * from ValidPaths; select * from Refs'`", found["ours"], found["dump"], 1.4)
        for name, words in nix_copies(bench, 4):
            ask = [*words, "path-info", "--all", "--json", "--store", root]
            # Seconds each, so fewer of them are enough.
            runs = bench.contest(nix=lambda ask=ask: bench.time(ask, env=bench.environment("home-nix")))
            bench.ratio(4, work, f"{name}, `nix path-info --all --json`", found["ours"], runs["nix"], target, 0.35)


def looks(bench, count, cold):
    """First and second looks at a cache, and the plain reading of it."""
    folder = worlds.cache(bench, f"cache-{count}", count)
    config = worlds.configuration(bench, f"cache-{count}", folder)
    home = f"home-cache-{count}"
    if bench.nix:
        worlds.key(bench)

    def first():
        memory = bench.work / home
        if memory.exists():
            bench.remove(memory)
        if cold:
            bench.drop_pages()
        return ours(bench, "prune", config, home)

    def second():
        return ours(bench, "prune", config, home)

    def plain():
        if cold:
            bench.drop_pages()
        return bench.time([bench.floor, "read", folder, 8 if cold else 1])

    # Twice, because the first reading also writes when each file was read.
    for _ in range(2):
        bench.time([bench.floor, "read", folder, 1])
    if cold:
        return bench.contest(first=first, plain=plain)
    found = bench.contest(first=first, plain=plain)
    # In between nothing may change for some seconds, or a second look could not tell.
    found |= bench.contest(second=second)
    return found


def row_5(bench):
    count = bench.count(100_000)
    found = looks(bench, count, cold=False)
    work = f"prune plan on {count:,} narinfos, half of them to go"
    bench.ratio(5, f"{work}, first look, warm", "reading every narinfo once, one thread", found["first"], found["plain"], 0.65)
    bench.ratio(7, "the same, second look, nothing changed", "first look", found["second"], found["first"], 0.10)
    bench.peak(8, f"{work}, first look", found["first"].peak, 45)
    bench.peak(8, f"{work}, second look", found["second"].peak, 45)


def row_6(bench):
    if not bench.arguments.as_root:
        return bench.leave_out(6, "cold reading needs --as-root")
    count = bench.count(100_000)
    found = looks(bench, count, cold=True)
    work = f"prune plan on {count:,} narinfos, half of them to go, first look, cold"
    bench.ratio(6, work, "reading every narinfo once, eight threads", found["first"], found["plain"], 1.10)


def row_8(bench):
    if not bench.arguments.large:
        return bench.leave_out(8, "a million paths are made with --large only")
    count = bench.count(1_000_000)
    found = looks(bench, count, cold=False)
    work = f"prune plan on {count:,} narinfos, half of them to go"
    bench.ratio(5, f"{work}, first look, warm", "reading every narinfo once, one thread", found["first"], found["plain"], 0.65)
    bench.ratio(7, f"{work}, second look", "first look", found["second"], found["first"], 0.10)
    bench.peak(8, f"{work}, first look", found["first"].peak, 200)
    bench.peak(8, f"{work}, second look", found["second"].peak, 200)


def row_9(bench):
    if not bench.nix:
        return bench.leave_out(9, "there is no Nix here")
    root, _ = worlds.one_file(bench, "store-large-file", bench.count(2 << 30))
    listed = bench.work / "store-large-file.paths"
    worlds.key(bench)

    def we():
        target = emptied(bench, "pushed-large-file")
        config = worlds.configuration(bench, "large-file", target, compression("zstd"), store_paths=True)
        prepared(bench, config, "home-push")
        return ours(bench, "push", config, "home-push", "--apply", "--yes", "--stdin", stdin=listed, store=root, nix=True)

    found = bench.contest(ours=we)
    bench.peak(9, "push of one 2 GiB file", found["ours"].peak, 100)


def row_10(bench):
    """Deleting: half of a cache of 80,000 narinfos and as many NARs."""
    count = bench.count(80_000)

    def made():
        worlds.forget(bench, "cache-to-delete")
        return worlds.cache(bench, "cache-to-delete", count)

    def we():
        folder = made()
        config = worlds.configuration(bench, "delete", folder)
        if bench.nix:
            worlds.key(bench)
        before = sum(1 for _ in folder.glob("*.narinfo"))
        run = ours(bench, "prune", config, "home-delete", "--apply", "--yes")
        gone = before - sum(1 for _ in folder.glob("*.narinfo"))
        if not count * 0.4 < gone < count * 0.6:
            raise SystemExit(f"only {gone} narinfos went")
        return run

    def plain():
        folder = made()
        return bench.time([bench.floor, "unlink", folder, count // 2])

    found = bench.contest(ours=we, plain=plain)
    work = f"deleting {count:,} objects (half of a cache) by `prune --apply`"
    bench.ratio(10, work, "unlinking them one after another", found["ours"], found["plain"], 1.5)


def row_15(bench):
    """What the gate costs that looks for secrets."""
    if not bench.nix:
        return bench.leave_out(15, "there is no Nix here")
    paths, total = bench.count(2_000), bench.count(2_200_000_000)
    root, added = worlds.store(bench, f"store-{paths}-{total}", paths, total)
    listed = bench.work / f"{root.name}.paths"
    worlds.key(bench)
    bench.check(["sh", "-c", f"tar -cf - -C {root}/nix store | cat > /dev/null"])

    def push_with(gate):
        def run():
            target = emptied(bench, "pushed-ours")
            config = worlds.configuration(bench, f"gate-{gate}", target, compression("zstd"), store_paths=True)
            text = config.read_text()
            changed = text.replace("push: { ", f"push: {{ secrets: {{ on-private: {gate} }}, ")
            if changed == text:
                raise RuntimeError(f"no `push` to change in {config}")
            config.write_text(changed)
            prepared(bench, config, "home-push")
            return ours(bench, "push", config, "home-push", "--apply", "--yes", "--stdin", stdin=listed, store=root, nix=True)

        return run

    # By default findings in a cache that is not public are a warning, so this is what everybody pays.
    found = bench.contest(looking=push_with("warn"), off=push_with("off"))
    work = f"push of {len(added)} paths, {total / 1e6:.0f} MB of NAR, zstd, each file looked through for secrets"
    bench.ratio(15, work, "the same with `push.secrets` off", found["looking"], found["off"], round(1 / 0.85, 2))


ALL = [
    (1, row_1),
    (2, row_2),
    (3, row_3),
    (4, row_4),
    (5, row_5),
    (6, row_6),
    (8, row_8),
    (9, row_9),
    (10, row_10),
    (15, row_15),
]
