"""A Hugging Face Hub of our own on 127.0.0.1, which speaks as much of its protocol as
huggingface_hub and datasets ask.

Repositories with commits, uploads in its three steps (preupload; the LFS batch with PUT and verify;
the commit as NDJSON), listings and downloads with redirects and ranges. It can be told to
misbehave: a status, a line that drops, or what a login page says in its place.
"""

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_of_the_stand_in"
DATE = "2026-01-01T00:00:00.000Z"
LARGE = (".parquet", ".gif", ".cart", ".safetensors", ".webp", ".png")
DROP = 0  # as a status: read half of the request, then hang up without an answer


@dataclass
class File:
    content: bytes
    large: bool

    @property
    def blob(self) -> str:
        return hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def listed(self, path: str) -> dict:
        entry = {"type": "file", "path": path, "size": len(self.content), "oid": self.blob}
        return entry | (
            {"lfs": {"oid": self.sha256, "size": len(self.content), "pointerSize": 130}}
            if self.large
            else {}
        )


@dataclass
class Repo:
    private: bool
    commits: list[tuple[str, dict[str, File]]] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)

    def commit(self, title: str, files: dict[str, File]) -> str:
        state = json.dumps(
            [title, len(self.commits), {path: file.sha256 for path, file in sorted(files.items())}]
        )
        sha = hashlib.sha1(state.encode()).hexdigest()
        self.commits.append((sha, files))
        self.titles.append(title)
        return sha

    def at(self, revision: str) -> tuple[str, dict[str, File]] | None:
        if revision in ("main", "HEAD"):
            return self.commits[-1]
        return next((commit for commit in self.commits if commit[0] == revision), None)


@dataclass
class Fault:
    """Answer requests that match with `status` and `body` instead, `times` of them after the first
    `after`.
    """

    method: str  # a regular expression, of the whole
    path: str  # another, of a part
    status: int
    times: int = 10**9
    after: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"error": "as told"}'


class HubStandIn:
    """`url` is its endpoint;

    `requests` says what was asked, `faults` what to do wrong. Use with `with`.
    """

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}  # by "datasets/owner/name" or "models/owner/name"
        self.objects: dict[str, bytes] = {}  # large files by SHA-256, committed or not
        self.requests: list[tuple[str, str]] = []
        self.faults: list[Fault] = []
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Handler", (Handler,), {"hub": self})
        )
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> "HubStandIn":
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def put(self, repo: str, files: dict[str, bytes]) -> str:
        """Commit files from the inside, as another client would have. Returns the commit."""
        held = self.repos.setdefault(repo, Repo(private=False))
        before = held.commits[-1][1] if held.commits else {}
        return held.commit(
            "from inside",
            before | {path: File(data, path.endswith(LARGE)) for path, data in files.items()},
        )

    def files(self, repo: str) -> dict[str, bytes]:
        """What the newest commit holds."""
        return {path: file.content for path, file in self.repos[repo].commits[-1][1].items()}

    def asked(self, method: str, path: str) -> list[str]:
        """Paths that were asked for; `method` and `path` are regular expressions, as a fault's."""
        return [
            asked
            for m, asked in self.requests
            if re.fullmatch(method, m) and re.search(path, asked)
        ]

    def fault_of(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if re.fullmatch(fault.method, method) and re.search(fault.path, path):
                if fault.after > 0:
                    fault.after -= 1
                elif fault.times > 0:
                    fault.times -= 1
                    return fault
        return None


REPO = r"/api/(datasets|models)/([^/]+/[^/]+)"
RESOLVE = r"/(?:(datasets)/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)"


class Handler(BaseHTTPRequestHandler):
    hub: HubStandIn
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.handle_request()

    do_POST = do_PUT = do_HEAD = do_GET  # noqa: N815

    def handle_request(self) -> None:
        split = urlsplit(self.path)
        self.route, self.query = unquote(split.path), parse_qs(split.query)
        with self.hub.lock:
            self.hub.requests.append((self.command, self.route))
            fault = self.hub.fault_of(self.command, self.route)
        if fault is not None and fault.status == DROP:
            self.rfile.read(int(self.headers.get("Content-Length") or 0) // 2)
            self.close_connection = True
            self.connection.close()
            return
        self.body = self.read_body()
        if fault is not None:
            self.send(
                fault.status, fault.body, {"Content-Type": "application/json"} | fault.headers
            )
            return
        with self.hub.lock:
            self.dispatch()

    def read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def dispatch(self) -> None:
        writes = self.command == "POST" and re.search(
            r"/(create|preupload/|commit/|batch$)", self.route
        )
        if writes and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.answer(401, {"error": "Invalid username or password."})
        if self.route == "/api/repos/create":
            return self.create()
        if self.route == "/api/validate-yaml":
            return self.answer(200, {"errors": [], "warnings": []})
        if match := re.fullmatch(
            r"/(datasets/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch", self.route
        ):
            return self.batch()
        if match := re.fullmatch(r"/lfs/([0-9a-f]{64})(/verify)?", self.route):
            return self.large(*match.groups())
        if match := re.fullmatch(
            REPO + r"(?:/(revision|tree|paths-info|preupload|commit|commits)/([^/]+)(?:/(.*))?)?",
            self.route,
        ):
            kind, name, what, revision, path = match.groups()
            return self.repository(
                f"{kind}/{name}", what or "revision", revision or "main", path or ""
            )
        if match := re.fullmatch(RESOLVE, self.route):
            kind, name, revision, path = match.groups()
            return self.resolve(f"{kind or 'models'}/{name}", revision, path)
        return self.answer(404, {"error": "Not Found"})

    def create(self) -> None:
        asked = json.loads(self.body)
        name = f"{asked.get('organization') or 'me'}/{asked['name']}"
        kind = asked.get("type", "model") + "s"
        url = f"{self.hub.url}/{'' if kind == 'models' else kind + '/'}{name}"
        if f"{kind}/{name}" in self.hub.repos:
            return self.answer(409, {"error": "You already created this repo", "url": url})
        repo = self.hub.repos[f"{kind}/{name}"] = Repo(asked.get("visibility") == "private")
        repo.commit(
            "initial commit",
            {".gitattributes": File(b"*.parquet filter=lfs diff=lfs merge=lfs -text\n", False)},
        )
        return self.answer(200, {"url": url, "id": name, "name": name})

    def files_at(self, key: str, revision: str) -> tuple[str, dict[str, File]] | None:
        """The commit and its files; None where there is none, which has then been answered."""
        repo = self.hub.repos.get(key)
        if repo is None:
            return self.answer(
                404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"}
            )
        found = repo.at(revision)
        if found is None:
            return self.answer(
                404, {"error": "Invalid rev id"}, {"X-Error-Code": "RevisionNotFound"}
            )
        return found

    def repository(self, key: str, what: str, revision: str, path: str) -> None:
        found = self.files_at(key, revision)
        if found is None:
            return None
        repo, (sha, files) = self.hub.repos[key], found
        if what == "revision":
            siblings = [{"rfilename": name} for name in files]
            about = {
                "id": key.split("/", 1)[1],
                "sha": sha,
                "private": repo.private,
                "siblings": siblings,
                "tags": [],
            }
            return self.answer(
                200,
                about
                | {
                    "lastModified": DATE,
                    "createdAt": DATE,
                    "gated": False,
                    "disabled": False,
                    "downloads": 0,
                },
            )
        if what == "tree":
            return self.answer(
                200,
                self.tree(
                    files, path, self.query.get("recursive", ["False"])[0].lower() in ("1", "true")
                ),
            )
        if what == "paths-info":
            return self.answer(200, self.paths_info(files))
        if what == "commits":
            each = zip(repo.commits, repo.titles, strict=True)
            return self.answer(
                200,
                [
                    {"id": s, "title": t, "message": "", "authors": [], "date": DATE}
                    for (s, _), t in reversed(list(each))
                ],
            )
        if what == "preupload":
            return self.preupload(files)
        return self.commit(key, sha, files)

    def tree(self, files: dict[str, File], folder: str, recursive: bool) -> list[dict]:
        below = folder.rstrip("/") + "/" if folder else ""
        found: dict[str, dict] = {}
        for name, file in files.items():
            if name.startswith(below):
                parts = name[len(below) :].split("/")
                for depth in range(1, len(parts) if recursive else min(2, len(parts))):
                    path = below + "/".join(parts[:depth])
                    found[path] = {"type": "directory", "path": path, "oid": "0" * 40, "size": 0}
                if recursive or len(parts) == 1:
                    found[name] = file.listed(name)
        return list(found.values())

    def paths_info(self, files: dict[str, File]) -> list[dict]:
        kind = self.headers.get("Content-Type", "")
        asked = json.loads(self.body) if "json" in kind else parse_qs(self.body.decode())
        found = []
        for path in asked["paths"]:
            if path in files:
                found.append(files[path].listed(path))
            elif any(name.startswith(path.rstrip("/") + "/") for name in files):
                found.append({"type": "directory", "path": path, "oid": "0" * 40, "size": 0})
        return found

    def preupload(self, files: dict[str, File]) -> None:
        answers = []
        for asked in json.loads(self.body)["files"]:
            base64.b64decode(asked["sample"])
            here = files.get(asked["path"])
            large = asked["path"].endswith(LARGE)
            oid = None if here is None else here.sha256 if here.large else here.blob
            answers.append(
                {
                    "path": asked["path"],
                    "uploadMode": "lfs" if large else "regular",
                    "shouldIgnore": False,
                    "oid": oid,
                }
            )
        self.answer(200, {"files": answers})

    def batch(self) -> None:
        asked = json.loads(self.body)
        answers = []
        for entry in asked["objects"]:
            oid = entry["oid"]
            actions = {
                "upload": {"href": f"{self.hub.url}/lfs/{oid}"},
                "verify": {"href": f"{self.hub.url}/lfs/{oid}/verify"},
            }
            known = oid in self.hub.objects
            answers.append(
                {"oid": oid, "size": entry["size"]} | ({} if known else {"actions": actions})
            )
        self.answer(200, {"transfer": "basic", "objects": answers})

    def large(self, oid: str, verify: str | None) -> None:
        if verify:
            size = json.loads(self.body)["size"]
            good = oid in self.hub.objects and len(self.hub.objects[oid]) == size
            return self.answer(
                200 if good else 422, {"message": "verified" if good else "not as announced"}
            )
        if self.command == "PUT":
            if hashlib.sha256(self.body).hexdigest() != oid:
                return self.answer(400, {"error": "other bytes than announced"})
            self.hub.objects[oid] = self.body
            return self.answer(200, {})
        return self.send_file(self.hub.objects[oid], {"ETag": f'"{oid}"'})

    def commit(self, key: str, sha: str, files: dict[str, File]) -> None:
        lines = [json.loads(line) for line in self.body.splitlines()]
        header = next(line["value"] for line in lines if line["key"] == "header")
        if header.get("parentCommit", sha) != sha:
            return self.answer(
                412, {"error": "A commit has happened since. Please refresh and try again."}
            )
        files = dict(files)
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = File(base64.b64decode(value["content"]), False)
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.hub.objects:
                    return self.answer(
                        400, {"error": "LFS pointer pointed to a file that does not exist"}
                    )
                files[value["path"]] = File(self.hub.objects[value["oid"]], True)
            elif line["key"].startswith("deleted"):
                files.pop(value["path"], None)
        oid = self.hub.repos[key].commit(header["summary"], files)
        url = f"{self.hub.url}/{key.removeprefix('models/')}/commit/{oid}"
        return self.answer(200, {"success": True, "commitOid": oid, "commitUrl": url})

    def resolve(self, key: str, revision: str, path: str) -> None:
        found = self.files_at(key, revision)
        if found is None:
            return None
        sha, files = found
        if path not in files:
            return self.answer(
                404,
                {"error": "Entry not found"},
                {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": sha},
            )
        file = files[path]
        if not file.large:
            return self.send_file(file.content, {"ETag": f'"{file.blob}"', "X-Repo-Commit": sha})
        self.hub.objects[file.sha256] = file.content
        # the real one redirects to another host, where no token goes
        elsewhere = self.hub.url.replace("127.0.0.1", "localhost")
        headers = {"Location": f"{elsewhere}/lfs/{file.sha256}", "X-Repo-Commit": sha}
        return self.answer(
            302,
            {},
            headers
            | {
                "X-Linked-Etag": f'"{file.sha256}"',
                "X-Linked-Size": str(len(file.content)),
            },
        )

    def send_file(self, content: bytes, headers: dict[str, str]) -> None:
        status = 200
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            first, last = int(match[1]), min(int(match[2] or len(content)), len(content) - 1)
            headers = headers | {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
            content, status = content[first : last + 1], 206
        self.send(
            status,
            content,
            headers | {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"},
        )

    def answer(self, status: int, value: object, headers: dict[str, str] | None = None) -> None:
        content = json.dumps(value).encode()
        message = (
            {"X-Error-Message": value["error"]}
            if isinstance(value, dict) and "error" in value
            else {}
        )
        self.send(status, content, {"Content-Type": "application/json"} | message | (headers or {}))

    def send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
