"""One pull of a HubSpot, in a process of its own that may be killed: see test_connectors_parts."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from connector_helpers import ExtractHarness
from connectors import connector
from connectors.hubspot import Settings

if __name__ == "__main__":
    url, token, folder, object, part_rows = sys.argv[1:]
    client = connector("hubspot").connect(Settings(access_token=token, base_url=url))
    ExtractHarness("hubspot", Path(folder)).extract(
        client, {object: ()}, checkpoint_rows=int(part_rows)
    )
