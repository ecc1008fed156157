"""What a service in Python does: the client is that of openapi-python-client, generated from the document."""

import sys

sys.path.insert(0, sys.argv[3])
from generated import AuthenticatedClient
from generated.api.answers import recommend
from generated.api.events import events
from generated.models import View

client = AuthenticatedClient(base_url=sys.argv[1], token=sys.argv[2])
answer = recommend.sync(client=client, user=7, k=3)
items = [item.item for item in answer.items]
summary = events.sync(client=client, body=View.from_dict({"type": "view", "visitor": 7, "item": items[0]}))
if summary.accepted != 1:
    sys.exit(f"not accepted: {summary}")
print(f"openapi-python-client: {answer.level} {','.join(items)}, 1 event accepted")
