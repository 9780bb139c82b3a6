"""The rows over the network: S3 and plain HTTP on this machine, with and without delay.

nanna-cache writes no plain HTTP; where only that can be compared (Nix 2.8 of some distributions has no S3),
its push to the S3 server is compared with Nix's to a plain HTTP server that does nothing but write files.
"""

import rows
import servers
import worlds

DELAY = 20
METHOD = "zstd"
TARGET, PEAK_TARGET = 0.45, 0.25


def configuration(bench, name, port, push=False):
    """Writes a cache.yaml for one cache in the bucket at a port; answers its file."""
    project = bench.work / f"project-{name}"
    project.mkdir(exist_ok=True)
    file = project / "cache.yaml"
    wanted = "push: { to: { it: all } }\n" if push else ""
    file.write_text(
        f"""version: 1
project: versus-nix
caches:
  it:
    type: s3
    bucket: {servers.BUCKET}
    region: {servers.REGION}
    endpoint: http://127.0.0.1:{port}
    url: http://127.0.0.1:{port}/{servers.BUCKET}
    insecure: true
    signing-key: {{ file: {bench.work}/key.sec, generate: true }}
{rows.compression(METHOD)}artifacts:
  kept:    {{ priority: 50, retention: 9000d, match: ['-no-such-name-'] }}
  expired: {{ priority: 10, retention: 30d, default: true }}
setup: {{ nix-conf: none }}
{wanted}prune: {{ limits: {{ share: 90% }} }}
"""
    )
    return file


def contestants(bench, row, root, listed, delay, counts):
    """Pushes of a whole store to new servers, by name; `counts` gets the requests of each."""
    key = worlds.key(bench)
    home = bench.work / "home-network"
    servers.credentials(home)

    def counted(name, link, run):
        if delay:
            counts[name] = link.requests()
        return run

    def we():
        with servers.place(bench, servers.S3, delay, "server") as (at, link):
            config = configuration(bench, "network", at.port, push=True)
            bench.remove(home)
            servers.credentials(home)
            rows.prepared(bench, config, home.name)
            link.requests()
            more = ("--apply", "--yes", "--stdin")
            run = rows.ours(bench, "push", config, home.name, *more, stdin=listed, store=root, nix=True)
            return counted("ours", link, run)

    def they(words, kind, name):
        def run():
            with servers.place(bench, kind, delay, "server") as (at, link):
                bench.remove(bench.work / "home-nix-network")
                servers.credentials(bench.work / "home-nix-network")
                here = f"http://127.0.0.1:{at.port}"
                if kind is servers.S3:
                    url = f"s3://{servers.BUCKET}?endpoint={here}&region={servers.REGION}&"
                else:
                    # Nix reads the file before it writes; a folder cache that Nix makes has it, too.
                    servers.ask(at.port, "PUT", "/nix-cache-info", b"StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 40\n")
                    url = f"{here}?"
                url += f"compression={METHOD}&secret-key={key}"
                link.requests()
                env = bench.environment("home-nix-network")
                return counted(name, link, bench.time([*words, "copy", "--all", "--store", root, "--to", url], env=env))

        return run

    found = {"ours": we}
    for name, words in rows.nix_copies(bench, row):
        if name == rows.NEW:
            found[f"{name}, S3"] = they(words, servers.S3, f"{name}, S3")
        found[f"{name}, HTTP"] = they(words, servers.Plain, f"{name}, HTTP")
    return found


def told(counts):
    """Requests of a run, in words."""
    words = [f"{count:,} {method}" for method, count in sorted(counts.items(), key=lambda pair: -pair[1])]
    return ", ".join(words) or "none"


def push(bench, row, work, root, listed, delay, target=None, peak=None, peak_target=None):
    """Pushes of a store, ours to S3 against each Nix to each server."""
    work = f"{work}, {f'{delay} ms each way' if delay else 'loopback'}"
    bench.begin(f"{row}: {work}")
    # The first run after the making finds other pages warm than the later ones.
    bench.check(["sh", "-c", f"tar -cf - -C {root}/nix store | cat > /dev/null"])
    counts = {}
    found = bench.contest(**contestants(bench, row, root, listed, delay, counts))
    for name, series in found.items():
        if name != "ours":
            bench.ratio(row, f"{work}, to S3", f"{name}: `nix copy`", found["ours"], series, target, peak_target)
    if peak:
        bench.peak(row, f"{work}, to S3", found["ours"].peak, peak)
    if delay:
        bench.notes.append(f"Row {row}, {work}: " + "; ".join(f"{name}: {told(sent)}" for name, sent in counts.items()) + ".")


def is_possible(bench, row):
    if not servers.stores(bench):
        bench.leave_out(row, "the S3 servers are not installed (tests/setup/stores.sh)")
    elif not bench.nix:
        bench.leave_out(row, "there is no Nix here")
    else:
        return True
    return False


def row_11(bench):
    if not is_possible(bench, 11):
        return
    paths, total = bench.count(2_000), bench.count(2_200_000_000)
    root, added = worlds.store(bench, f"store-{paths}-{total}", paths, total)
    work = f"cold push of {len(added)} paths, {total / 1e6:.0f} MB of NAR, {METHOD}"
    push(bench, 11, work, root, bench.work / f"{root.name}.paths", DELAY, TARGET, peak_target=PEAK_TARGET)


def row_12(bench):
    """Many small paths."""
    if not is_possible(bench, 12):
        return
    paths, total = bench.count(2_000), bench.count(40_000_000)
    root, added = worlds.store(bench, f"store-small-{paths}", paths, total)
    for delay in (0, DELAY):
        work = f"cold push of {len(added)} small paths, {total / 1e6:.0f} MB of NAR, {METHOD}"
        push(bench, 12, work, root, bench.work / f"{root.name}.paths", delay)


def row_13(bench):
    """One large path."""
    if not is_possible(bench, 13):
        return
    size = bench.count(1 << 30)
    root, _ = worlds.one_file(bench, f"store-one-{size}", size)
    for delay in (0, DELAY):
        work = f"push of one file of {size / (1 << 20):.0f} MiB, {METHOD}"
        push(bench, 13, work, root, bench.work / f"{root.name}.paths", delay, peak=100)


def row_14(bench):
    """Looks at a large bucket."""
    if not servers.stores(bench):
        return bench.leave_out(14, "the S3 servers are not installed (tests/setup/stores.sh)")
    count = bench.count(100_000)
    folder = worlds.cache(bench, f"cache-{count}", count)
    if bench.nix:
        worlds.key(bench)
    home = bench.work / "home-bucket"
    with servers.place(bench, servers.S3, 0, "bucket") as (server, _):
        bench.begin(f"filling a bucket with {count:,} narinfos and as many NARs")
        bench.check([bench.wire, "fill", server.port, servers.BUCKET, folder, 32])
        for delay in (0, DELAY):
            with servers.Link(bench, server.port, delay, bench.work / "bucket-link") as link:
                config = configuration(bench, "bucket", link.port if delay else server.port)
                counts = {}

                def look(name):
                    def run():
                        if name == "first" and home.exists():
                            bench.remove(home)
                        servers.credentials(home)
                        link.requests()
                        found = rows.ours(bench, "prune", config, home.name)
                        counts[name] = link.requests()
                        return found

                    return run

                work = f"plan on a bucket with {count:,} narinfos, {f'{delay} ms each way' if delay else 'loopback'}"
                bench.begin(f"14: {work}")
                found = bench.contest(first=look("first"))
                found |= bench.contest(second=look("second"))
                bench.ratio(14, f"{work}, second look, nothing changed", "first look", found["second"], found["first"], None)
                for name in ("first", "second"):
                    series = found[name]
                    bench.peak(14, f"{work}, {name} look ({series.wall:.1f} s)", series.peak, None)
                    if delay:
                        bench.notes.append(f"Row 14, {work}, {name} look: {told(counts[name])}.")


ALL = [(11, row_11), (12, row_12), (13, row_13), (14, row_14)]
