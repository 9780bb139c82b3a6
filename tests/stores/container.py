"""Makes a container of Azure Blob Storage, readable by anybody: container.py ENDPOINT ACCOUNT KEY NAME."""

import base64
import email.utils
import hashlib
import hmac
import sys
import urllib.request

endpoint, account, key, name = sys.argv[1:]
date = email.utils.formatdate(usegmt=True)
version = "2021-08-06"
headers = f"x-ms-blob-public-access:container\nx-ms-date:{date}\nx-ms-version:{version}"
text = f"PUT\n\n\n\n\n\n\n\n\n\n\n\n{headers}\n/{account}/{account}/{name}\nrestype:container"
digest = hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()
request = urllib.request.Request(f"{endpoint}/{account}/{name}?restype=container", method="PUT")
request.add_header("x-ms-blob-public-access", "container")
request.add_header("x-ms-date", date)
request.add_header("x-ms-version", version)
request.add_header("Content-Length", "0")
request.add_header("Authorization", f"SharedKey {account}:{base64.b64encode(digest).decode()}")
urllib.request.urlopen(request, timeout=20)
