"""Servers on this machine, each in a folder of its own, and links with a delay to them."""

import contextlib
import http.client
import json
import pathlib
import shutil
import socket
import subprocess
import time

ACCESS_KEY, SECRET_KEY = "VERSUSNIX", "versus-nix-secret"
REGION = "us-east-1"
BUCKET = "cache"


def free_port():
    """A free port of which the one 10,000 above is free, too: SeaweedFS takes both."""
    while True:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            if port + 10_000 < 65_536:
                with contextlib.suppress(OSError):
                    other.bind(("127.0.0.1", port + 10_000))
                    return port


def ask(port, method, path, body=None):
    """Status and body of an answer; `None`: nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except OSError:
        return None
    finally:
        connection.close()


class Process:
    """A process that ends with the block."""

    def __init__(self, command, cwd, piped=False):
        command = [str(word) for word in command]
        self.log = open(pathlib.Path(cwd) / "log", "ab")
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE} if piped else {"stdin": subprocess.DEVNULL, "stdout": self.log}
        self.process = subprocess.Popen(command, cwd=cwd, stderr=self.log, **pipes)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        for file in (self.process.stdin, self.process.stdout, self.log):
            if file:
                file.close()

    def line(self):
        return self.process.stdout.readline().decode().strip()


class Link(Process):
    """A link to a port, by which everything takes `delay` milliseconds either way."""

    def __init__(self, bench, port, delay, cwd):
        super().__init__([bench.wire, "link", port, delay], cwd, piped=True)
        self.port = int(self.line())

    def requests(self):
        """How many requests came since the last question, by method."""
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        pairs = (word.split("=") for word in self.line().split())
        return {method: int(count) for method, count in pairs}


class Plain(Process):
    """A plain HTTP server that takes PUT."""

    def __init__(self, bench, folder):
        folder.mkdir(parents=True)
        super().__init__([bench.wire, "serve", folder], folder, piped=True)
        self.port = int(self.line())


def stores(bench):
    """The folder of the servers' programs; `None`: they are not installed."""
    given = bench.arguments.stores
    folder = given.resolve() if given else bench.repository / "target/tools/stores"
    return folder if (folder / "python/bin").exists() else None


class S3(Process):
    """An S3 server with one empty bucket, for our key and for requests without any."""

    def __init__(self, bench, folder):
        folder.mkdir(parents=True)
        tools = stores(bench) / "python/bin"
        started = {"seaweed": self.seaweed, "moto": self.moto}[bench.arguments.s3]
        super().__init__(started(tools, folder), folder)
        begun = time.monotonic()
        while not (answer := ask(self.port, "GET", f"/{BUCKET}?list-type=2")) or answer[0] not in (200, 404):
            if time.monotonic() - begun > 60 or self.process.poll() is not None:
                raise SystemExit(f"the S3 server does not come up: {folder}/log")
            time.sleep(0.05)
        if answer[0] == 404:
            ask(self.port, "PUT", f"/{BUCKET}")
        # The first write to a bucket makes room for many.
        for _ in range(20):
            ask(self.port, "PUT", f"/{BUCKET}/first", b"x")
        ask(self.port, "DELETE", f"/{BUCKET}/first")

    def seaweed(self, tools, folder):
        keys = {"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}
        may = ["Admin", "Read", "List", "Tagging", "Write"]
        identities = [{"name": "anonymous", "actions": may}, {"name": "writer", "credentials": [keys], "actions": may}]
        config = folder / "s3.json"
        config.write_text(json.dumps({"identities": identities}))
        (folder / "data").mkdir()
        command = [tools / "weed", "mini", f"-dir={folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
        command += [f"-bucket={BUCKET}", f"-s3.config={config}", "-admin.ui=false"]
        ports = {name: free_port() for name in ("s3", "master", "volume", "filer", "webdav", "admin")}
        command += [f"-{name}.port={port}" for name, port in ports.items()]
        self.port = ports["s3"]
        return [*command, "-s3.port.iceberg=0", "-s3.port.lance=0"]

    def moto(self, tools, _):
        self.port = free_port()
        return [tools / "moto_server", "-H", "127.0.0.1", "-p", self.port]


def credentials(home):
    """Writes the keys where both we and Nix find them."""
    folder = home / ".aws"
    folder.mkdir(parents=True, exist_ok=True)
    text = f"[default]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\nregion = {REGION}\n"
    (folder / "credentials").write_text(text)


@contextlib.contextmanager
def place(bench, kind, delay, name):
    """A new server of a kind with a link to it, if there is a delay; answers the port and the link."""
    folder = bench.work / name
    bench.remove(folder) if folder.exists() else None
    (bench.work / f"{name}-link").mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: shutil.rmtree(folder, ignore_errors=True))
        server = stack.enter_context(kind(bench, folder))
        link = stack.enter_context(Link(bench, server.port, delay, bench.work / f"{name}-link"))
        yield link if delay else server, link
