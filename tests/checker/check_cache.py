#!/usr/bin/env python3
"""Checks that a binary cache in a folder keeps its promises. Independent: standard library only, no code of the product.

At every instant every visible narinfo must have its NAR, and every reference must be a visible narinfo here or be
given as --upstream. Works beside pushers and pruners: what vanishes between two looks is no problem, what stays
visible while something it needs is missing is one. Exit 0: whole, 1: problems (one a line), 2: wrong use.
"""

import argparse
import base64
import bz2
import gzip
import hashlib
import json
import lzma
import os
import re
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True     # the work tree stays clean
from ed25519 import verifies  # noqa: E402

ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz"
BASE_NAME = re.compile(r"[%s]{32}-[0-9A-Za-z+\-._?=]{1,211}" % ALPHABET)
SUFFIXES = {"none": "", "xz": ".xz", "zstd": ".zst", "bzip2": ".bz2", "gzip": "", "br": ".br", "lzip": ".lzip", "lz4": ".lz4"}
KEYS = {"StorePath", "URL", "Compression", "FileHash", "FileSize", "NarHash", "NarSize", "References", "Deriver", "Sig", "CA"}


class Bad(Exception):
    """A broken promise or a malformed object."""


# ---- nixbase32 and hashes ----

def nix32(data):
    length = (len(data) * 8 + 4) // 5
    number = int.from_bytes(data, "little")
    return "".join(ALPHABET[(number >> (5 * (length - 1 - p))) & 31] for p in range(length))


def unnix32(text, size):
    number = 0
    for character in text:
        number = number * 32 + ALPHABET.index(character)
    return number.to_bytes(size, "little")      # raises on padding bits that are not zero


def sha256_of(text):
    """The digest in `sha256:…` or `sha256-…`, in any of Nix's forms."""
    word = text[7:] if text[:7] in ("sha256:", "sha256-") else ""
    try:
        if len(word) == 64:
            return bytes.fromhex(word)
        if len(word) == 52:
            return unnix32(word, 32)
        if len(word) == 44:
            return base64.b64decode(word, validate=True)
    except (ValueError, OverflowError):
        pass
    raise Bad(f"not a SHA-256: {text!r}")


# ---- narinfo ----

class Narinfo:
    def __init__(self, data, store_dir):
        fields, self.sigs = {}, []
        if not data.endswith(b"\n"):
            raise Bad("narinfo is truncated: no newline at its end")
        for line in data.decode("utf-8").split("\n")[:-1]:
            key, colon, value = line.partition(": ")
            if not colon or not re.fullmatch(r"[A-Za-z]+", key) or "\r" in line or value.startswith(" "):
                raise Bad(f"narinfo holds a malformed line: {line!r}")
            if key == "Sig":
                self.sigs.append(value)
            elif key in fields:
                raise Bad(f"narinfo has two lines `{key}`")
            elif key in KEYS:
                fields[key] = value
        for key in ("StorePath", "URL", "Compression", "NarHash", "NarSize", "References"):
            if key not in fields:
                raise Bad(f"narinfo has no `{key}`")
        self.path, self.url, self.compression = fields["StorePath"], fields["URL"], fields["Compression"]
        folder, _, self.base = self.path.rpartition("/")
        if folder != store_dir or not BASE_NAME.fullmatch(self.base):
            raise Bad(f"`StorePath` is malformed: {self.path!r}")
        if not re.fullmatch(r"[0-9A-Za-z_\-][0-9A-Za-z._\-]*(/[0-9A-Za-z_\-][0-9A-Za-z._\-]*)*", self.url):
            raise Bad(f"`URL` is malformed or leads out of the cache: {self.url!r}")
        if self.compression not in SUFFIXES:
            raise Bad(f"`Compression` is a word no Nix knows: {self.compression!r}")
        self.nar_hash, self.nar_size = sha256_of(fields["NarHash"]), self.number(fields["NarSize"])
        self.file_hash = sha256_of(fields["FileHash"]) if "FileHash" in fields else None
        self.file_size = self.number(fields["FileSize"]) if "FileSize" in fields else None
        self.references = fields["References"].split(" ") if fields["References"] else []
        self.ca = fields.get("CA")
        deriver = fields.get("Deriver", "unknown-deriver")
        for name in self.references + ([] if deriver == "unknown-deriver" else [deriver]):
            if not BASE_NAME.fullmatch(name):
                raise Bad(f"a reference or the deriver is malformed: {name!r}")
        self.store_dir = store_dir

    @staticmethod
    def number(text):
        if not re.fullmatch(r"[1-9][0-9]{0,18}", text):
            raise Bad(f"not a size above 0: {text!r}")
        return int(text)

    def full(self, names):
        return [f"{self.store_dir}/{name}" for name in sorted(set(names))]

    def fingerprint(self):
        return f"1;{self.path};sha256:{nix32(self.nar_hash)};{self.nar_size};{','.join(self.full(self.references))}".encode()

    def check_ca(self):
        """Recomputes the store path from `CA`; Nix dies of one that does not fit."""
        others, own = [r for r in self.references if r != self.base], self.base in self.references
        method, digest = self.ca.rpartition(":")[0].removesuffix(":sha256"), sha256_of("sha256:" + self.ca.rpartition(":")[2])
        if method == "text" and not own:
            kind, inner = ":".join(["text"] + self.full(others)), digest.hex()
        elif method == "fixed:r":
            kind, inner = ":".join(["source"] + self.full(others) + (["self"] if own else [])), digest.hex()
            if not own and digest != self.nar_hash:
                raise Bad("`CA` is not the hash of the NAR")
        elif method == "fixed" and not self.references:
            kind, inner = "output:out", hashlib.sha256(f"fixed:out:sha256:{digest.hex()}:".encode()).hexdigest()
        else:
            raise Bad(f"`CA` is of a kind that this checker does not know: {self.ca!r}")
        long = hashlib.sha256(f"{kind}:sha256:{inner}:{self.store_dir}:{self.base[33:]}".encode()).digest()
        short = bytearray(20)
        for i, byte in enumerate(long):
            short[i % 20] ^= byte
        if nix32(bytes(short)) != self.base[:32]:
            raise Bad(f"`CA` does not lead to this store path: {self.ca!r}")

    def check_signatures(self, keys):
        good = False
        for sig in self.sigs:
            name, _, text = sig.partition(":")
            try:
                raw = base64.b64decode(text, validate=True)
            except ValueError:
                raw = b""
            if not name or len(raw) != 64:
                raise Bad(f"`Sig` is malformed: {sig!r}")
            if name in keys:
                if not verifies(keys[name], self.fingerprint(), raw):
                    raise Bad(f"the signature by `{name}` is wrong")
                good = True
        if self.ca is not None:
            self.check_ca()
        elif keys and not good:
            raise Bad("no signature by a key that is trusted")


# ---- NAR ----

def unpacked(path, compression):
    """A stream of the NAR and the process behind it, if there is one."""
    opener = {"xz": lzma.open, "bzip2": bz2.open, "gzip": gzip.open, "none": open}.get(compression)
    if opener:
        return opener(path, "rb"), None
    command = {"zstd": ["zstd", "-dcq", "--", path], "br": ["brotli", "-dc", path], "lz4": ["lz4", "-dc", path], "lzip": ["lzip", "-dc", path]}
    process = subprocess.Popen(command[compression], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return process.stdout, process


class NarReader:
    """Walks the grammar of a NAR strictly, hashing as it goes."""

    def __init__(self, stream):
        self.stream, self.hash, self.size = stream, hashlib.sha256(), 0

    def take(self, count):
        data = self.stream.read(count)
        if len(data) != count:
            raise Bad("the NAR is cut short")
        self.hash.update(data)
        self.size += count
        return data

    def bytes(self, limit=4096):
        count = int.from_bytes(self.take(8), "little")
        if count > limit:
            raise Bad("the NAR holds a name or word that is too long")
        data = self.take(count)
        self.pad(count)
        return data

    def pad(self, count):
        if any(self.take(-count % 8)):
            raise Bad("the NAR's padding is not zero")

    def expect(self, *words):
        for word in words:
            if self.bytes() != word:
                raise Bad(f"the NAR is malformed: no {word!r} where one belongs")

    def node(self):
        self.expect(b"(", b"type")
        kind = self.bytes()
        if kind == b"symlink":
            self.expect(b"target")
            self.bytes()
            self.expect(b")")
        elif kind == b"regular":
            word = self.bytes()
            if word == b"executable":
                self.expect(b"", b"contents")
            elif word != b"contents":
                raise Bad("the NAR is malformed: a file without contents")
            count = left = int.from_bytes(self.take(8), "little")
            while left:
                left -= len(self.take(min(left, 1 << 20)))
            self.pad(count)
            self.expect(b")")
        elif kind == b"directory":
            before = b""
            while (word := self.bytes()) == b"entry":
                self.expect(b"(", b"name")
                name = self.bytes(255)
                if name <= before or name in (b".", b"..") or b"/" in name or b"\0" in name:
                    raise Bad(f"the NAR holds a name that is out of order or forbidden: {name!r}")
                before = name
                self.expect(b"node")
                self.node()
                self.expect(b")")
            if word != b")":
                raise Bad("the NAR is malformed: a folder does not end")
        else:
            raise Bad(f"the NAR is malformed: no such type {kind!r}")


def check_nar(path, info):
    stream, process = unpacked(path, info.compression)
    with stream:
        reader = NarReader(stream)
        try:
            reader.expect(b"nix-archive-1")
            reader.node()
            if stream.read(1):
                raise Bad("there is something behind the end of the NAR")
        except (OSError, EOFError, lzma.LZMAError) as error:
            raise Bad(f"the NAR cannot be unpacked: {error}") from error
        finally:
            if process:
                stream.close()
                process.wait()
    if process and process.returncode:
        raise Bad("the NAR cannot be unpacked")
    if reader.size != info.nar_size or reader.hash.digest() != info.nar_hash:
        raise Bad("`NarHash` or `NarSize` is not that of the NAR")


# ---- the cache ----

def identity(path):
    """What tells one file from its successor under the same name; None when there is none."""
    try:
        status = os.stat(path)
        return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size
    except FileNotFoundError:
        return None


class Cache:
    def __init__(self, options):
        self.root, self.deep, self.store_dir = options.cache, options.deep, options.store_dir
        self.upstream = {self.hash_of(each) for each in options.upstream}
        self.roots = [self.hash_of(each) for each in options.root]
        self.keys = {}
        for key in options.key:
            name, _, text = key.partition(":")
            self.keys[name] = base64.b64decode(text, validate=True)
        self.sound, self.problems, self.counts = {}, {}, {}

    @staticmethod
    def hash_of(text):
        return text.rpartition("/")[2][:32]

    def at(self, *parts):
        return os.path.join(self.root, *parts)

    def problem(self, where, what):
        if (where, str(what)) not in self.problems:
            self.problems[where, str(what)] = True
            print(f"{where}: {what}", flush=True)

    def once(self, what, path, seen, check):
        """Runs a check unless the same file has passed it."""
        if seen is None or self.sound.get((what, path)) != seen:
            check()
            self.sound[what, path] = seen

    def list(self, *folder):
        try:
            return sorted(os.listdir(self.at(*folder)))
        except FileNotFoundError:
            return []

    def narinfo(self, key):
        path = self.at(f"{key}.narinfo")
        try:
            with open(path, "rb") as file:
                data, status = file.read(), os.fstat(file.fileno())
        except FileNotFoundError:
            return None, None
        return data, (status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)

    def look(self, key):
        """One narinfo with all it needs, as a reader would ask for them. True when it is visible."""
        data, seen = self.narinfo(key)
        if data is None:
            return False
        name = f"{key}.narinfo"
        try:
            info = Narinfo(data, self.store_dir)
            if info.base[:32] != key:
                raise Bad(f"is about another path: {info.path}")
            self.once("signatures", name, seen, lambda: info.check_signatures(self.keys))
            nar = self.at(info.url)
            file = identity(nar)
            if file is None:
                raise Bad(f"its NAR is missing: {info.url}")
            if info.file_size is not None and file[3] != info.file_size:
                raise Bad(f"`FileSize` is {info.file_size}, the file has {file[3]} bytes")
            self.once("file", info.url, file, lambda: self.check_file(nar, info))
            if self.deep:
                self.once(f"nar {nix32(info.nar_hash)}", info.url, file, lambda: check_nar(nar, info))
            for reference in info.references:
                other = reference[:32]
                if other != key and other not in self.upstream and identity(self.at(f"{other}.narinfo")) is None:
                    raise Bad(f"its reference is missing: {reference}")
        except (Bad, UnicodeDecodeError, FileNotFoundError) as error:
            # Only a narinfo that stood there all the while can have been broken.
            if identity(self.at(name)) == seen:
                self.problem(name, error)
            return identity(self.at(name)) is not None
        return True

    @staticmethod
    def check_file(path, info):
        if info.file_hash is None:
            return
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        if digest.digest() != info.file_hash:
            raise Bad(f"`FileHash` is not that of {info.url}")

    def check_nar_folder(self):
        """Also a NAR that nobody refers to is whole: its name is its hash."""
        for name in self.list("nar"):
            word, path = name.partition(".")[0], self.at("nar", name)
            if not re.fullmatch(f"[{ALPHABET}]{{52}}[.]nar([.][a-z0-9]{{2,4}})?", name):
                continue
            seen = identity(path)

            def check(path=path, word=word):
                digest = hashlib.sha256()
                with open(path, "rb") as file:
                    while block := file.read(1 << 20):
                        digest.update(block)
                if nix32(digest.digest()) != word:
                    raise Bad("is a partial object: its content does not have the hash in its name")
            try:
                self.once("name", f"nar/{name}", seen, check)
            except (Bad, FileNotFoundError) as error:
                if seen and identity(path) == seen:
                    self.problem(f"nar/{name}", error)

    def check_records(self):
        info = self.at("nix-cache-info")
        if os.path.exists(info):
            with open(info, encoding="utf-8") as file:
                if f"StoreDir: {self.store_dir}\n" not in file.read():
                    self.problem("nix-cache-info", "has no `StoreDir`, or another")
        for folder, _, files in os.walk(self.at("nanna-cache")):
            for name in files:
                path = os.path.join(folder, name)
                seen = identity(path)
                try:
                    if name.endswith(".json") and not name.startswith("."):
                        with open(path, encoding="utf-8") as file:
                            body = json.load(file)
                        if not isinstance(body, dict) or not isinstance(body.get("schema"), int):
                            raise Bad("record without `schema`")
                except (Bad, ValueError, FileNotFoundError) as error:
                    if seen and identity(path) == seen:
                        self.problem(os.path.relpath(path, self.root), f"is no whole record: {error}")

    def round(self):
        keys = [name[:-8] for name in self.list() if name.endswith(".narinfo")]
        visible = sum(self.look(key) for key in keys)
        for key in self.roots:
            if not self.look(key):
                self.problem(f"{key}.narinfo", "is missing, though its path must be there")
        self.check_nar_folder()
        self.check_records()
        self.counts = {"narinfos": visible, "NARs": len(self.list("nar"))}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("cache")
    parser.add_argument("--upstream", action="append", default=[], help="a store path, or its hash, that an upstream has; @FILE for many")
    parser.add_argument("--root", action="append", default=[], help="a store path that must be there")
    parser.add_argument("--key", action="append", default=[], help="a public key, name:base64; then every path must be signed or content-addressed")
    parser.add_argument("--deep", action="store_true", help="unpack every NAR")
    parser.add_argument("--watch", metavar="STOP", help="repeat until a file of this name appears, or SIGTERM")
    parser.add_argument("--store-dir", default="/nix/store")
    options = parser.parse_args()
    many = [each for each in options.upstream if each.startswith("@")]
    options.upstream = [each for each in options.upstream if each not in many]
    for each in many:
        with open(each[1:], encoding="utf-8") as file:
            options.upstream += file.read().split()
    if not os.path.isdir(options.cache) and not options.watch:
        parser.error(f"no such folder: {options.cache}")
    cache, rounds, stopped = Cache(options), 0, []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    while True:
        last = not options.watch or bool(stopped) or os.path.exists(options.watch)
        cache.round()
        rounds += 1
        if last:
            break
        time.sleep(0.002)
    counts = ", ".join(f"{count} {name}" for name, count in cache.counts.items())
    print(f"{counts}, {rounds} rounds, {len(cache.problems)} problems")
    return 1 if cache.problems else 0


if __name__ == "__main__":
    sys.exit(main())
