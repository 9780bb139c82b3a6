"""Runs processes in turn and compares them."""

import contextlib
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent


class Run:
    """What one process took: seconds by the clock and of processors, and bytes at the peak."""

    def __init__(self, wall, cpu, peak):
        self.wall, self.cpu, self.peak = wall, cpu, peak


class Series:
    """What the same program took several times."""

    def __init__(self, runs):
        self.wall = statistics.median(run.wall for run in runs)
        self.cpu = statistics.median(run.cpu for run in runs)
        self.peak = max(run.peak for run in runs)


def mib(size):
    return f"{size / (1 << 20):.0f} MiB"


class Bench:
    def __init__(self, arguments):
        self.arguments = arguments
        self.lines = []
        self.notes = []
        self.repository = REPOSITORY
        binary = arguments.nanna_cache or REPOSITORY / "target/release/nanna-cache"
        self.binary = binary.resolve()
        if not self.binary.exists():
            sys.exit(f"there is no {self.binary}: cargo build --release, or --nanna-cache FILE")
        self.nix = shutil.which("nix")

    def __enter__(self):
        self.kept = self.arguments.work is not None
        self.work = self.arguments.work or pathlib.Path(tempfile.mkdtemp(prefix="versus-nix-"))
        self.work = self.work.resolve()
        self.work.mkdir(parents=True, exist_ok=True)
        (self.work / "no-programs").mkdir(exist_ok=True)
        self.floor, self.wire = self.built("floor"), None
        if self.arguments.network:
            self.wire = self.built("wire")
        return self

    def built(self, name):
        """One of our own programs."""
        program, source = self.work / name, HERE / f"{name}.rs"
        if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
            self.check(["rustc", "--edition", "2024", "-O", source, "-o", program])
        return program

    def __exit__(self, *_):
        if not self.kept:
            self.remove(self.work)

    def count(self, full):
        return max(100, int(full * self.arguments.scale))

    def environment(self, home, nix=True):
        """Nothing of the caller's settings; without Nix where Nix is not what is measured."""
        home = self.work / home
        home.mkdir(parents=True, exist_ok=True)
        settings = (
            "experimental-features = nix-command flakes\nsandbox = false\nbuild-users-group =\nsubstituters =\n"
        )
        path = os.environ["PATH"] if nix else str(self.work / "no-programs")
        # `tests/setup/sid-nix` shows its Nix this folder.
        share = {"NANNA_SID_SHARE": str(self.work)}
        return {"HOME": str(home), "PATH": path, "NIX_CONFIG": settings, "LANG": "C.UTF-8", **share}

    def check(self, command, **options):
        """Runs something that is not measured."""
        command = [str(word) for word in command]
        done = subprocess.run(command, capture_output=True, text=True, **options)
        if done.returncode:
            sys.exit(f"failed: {' '.join(command)[:300]}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def time(self, command, env=None, codes=(0,), stdin=None):
        """Runs a process to its end; its children count."""
        command = [str(word) for word in command]
        result = self.work / "result"
        result.unlink(missing_ok=True)
        with open(self.work / "output", "w+b") as output:
            subprocess.run(
                [sys.executable, "-I", "-S", HERE / "one.py", result, *command],
                env=env,
                stdout=subprocess.DEVNULL,
                stderr=output,
                stdin=stdin or subprocess.DEVNULL,
                cwd=self.work,
                check=False,
            )
            code, wall, cpu, peak = result.read_text().split() if result.exists() else ("-1", 0, 0, 0)
            if int(code) not in codes:
                output.seek(0)
                text = output.read()[-3000:].decode(errors="replace")
                sys.exit(f"ended with {code}: {' '.join(command)[:300]}\n{text}")
        scale = 1 if platform.system() == "Darwin" else 1024
        return Run(float(wall), float(cpu), int(peak) * scale)

    def contest(self, **contestants):
        """Runs each of `name=function` n times, in changing order; each function answers a Run."""
        names = list(contestants)
        runs = {name: [] for name in names}
        for turn in range(self.arguments.n):
            at = turn % len(names)
            for name in names[at:] + names[:at]:
                runs[name].append(contestants[name]())
                last = runs[name][-1]
                print(f"  {name:20} {last.wall:8.3f} s  cpu {last.cpu:8.3f} s  {mib(last.peak):>9}", file=sys.stderr)
        return {name: Series(found) for name, found in runs.items()}

    def begin(self, title):
        print(title, file=sys.stderr)

    def ratio(self, row, work, against, ours, theirs, target, peak_target=None):
        """Adds a line: how our medians compare with theirs; without a target where there is none."""
        wall, cpu, peak = ours.wall / theirs.wall, ours.cpu / theirs.cpu, ours.peak / theirs.peak
        if target is None:
            return self.line(row, work, against, f"{wall:.2f}", f"{cpu:.2f}", f"– (memory {peak:.2f})", None)
        self.line(row, work, against, f"{wall:.2f}", f"{cpu:.2f}", f"≤ {target}", wall <= target)
        if peak_target is not None:
            self.line(row, work + ": peak memory", against, f"{peak:.2f}", "", f"≤ {peak_target}", peak <= peak_target)

    def peak(self, row, work, size, target):
        """Adds a line: how much memory at the peak, in MiB."""
        reached = None if target is None else size <= target << 20
        self.line(row, work + ": peak memory", "–", mib(size), "", "–" if target is None else f"≤ {target} MiB", reached)

    def line(self, *cells):
        self.lines.append(cells)

    def leave_out(self, row, why):
        self.notes.append(f"Row {row} was left out: {why}.")

    def drop_pages(self):
        """Makes the next reads cold; only root can."""
        os.sync()
        with open("/proc/sys/vm/drop_caches", "w") as file:
            file.write("3")

    @staticmethod
    def remove(path):
        def force(function, name, _):
            # Store paths are read-only.
            with contextlib.suppress(OSError):
                os.chmod(os.path.dirname(name), 0o700)
                os.chmod(name, 0o700)
                function(name)

        shutil.rmtree(path, onerror=force)

    def print_table(self):
        model = ""
        with contextlib.suppress(OSError):
            text = pathlib.Path("/proc/cpuinfo").read_text()
            model = next((line.split(":")[1].strip() for line in text.splitlines() if "model name" in line), "")
        load = os.getloadavg()[0]
        print(f"\n{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores {model}, load {load:.1f} at the end, n = {self.arguments.n}")
        print("Ratios of medians, nanna-cache to the other; smaller is faster.\n")
        print("| # | work | against | wall | processor | target | |")
        print("|---|---|---|---|---|---|---|")
        for *cells, reached in self.lines:
            print("| " + " | ".join(str(cell) for cell in cells) + f" | { {None: '', True: 'reached', False: 'missed'}[reached] } |")
        for note in self.notes:
            print(f"\n{note}")
