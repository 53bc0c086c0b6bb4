"""Where a cart comes from: a file, or a model repository of the Hugging Face Hub.

hf://OWNER/REPO/FILE.cart, with @REVISION after the repository or at the end. A cart is a
safetensors file: nothing of what is downloaded is ever run.
"""

import re
from pathlib import Path

from dreamcart.core.errors import UserError, shown
from dreamcart.core.hub import check_repo_id, hub_api, patiently

# No part begins with a dot, so none is . or .. and leads elsewhere.
REPO, REVISION, FILE = r"\w[\w.-]*/\w[\w.-]*", r"\w[\w.+-]*", r"(?:\w[\w .+-]*/)*\w[\w .+-]*\.cart"
HUB = re.compile(rf"hf://({REPO})(?:@({REVISION}))?/({FILE})(?:@({REVISION}))?")


def cart_path(name: str) -> Path:
    """Return the cart `name` as a file, from the Hub's cache if it names the Hub.

    `load_cart` checks what is in it.

    Raises:
        UserError: the name is wrong, or the Hub has no such cart, refuses or cannot be reached.
    """
    if not name.startswith("hf:"):
        return Path(name)
    match = HUB.fullmatch(name)
    if match is None or (match[2] and match[4]):
        raise UserError(
            f"{shown(name)} is no cart on the Hub; write hf://OWNER/REPO/FILE.cart or "
            "hf://OWNER/REPO/FILE.cart@REVISION, in letters, digits and . _ -."
        )
    repo_id, revision, file = match[1], match[2] or match[4], match[3]
    check_repo_id(repo_id)
    api = hub_api()
    return Path(patiently(repo_id, lambda: api.hf_hub_download(repo_id, file, revision=revision)))
