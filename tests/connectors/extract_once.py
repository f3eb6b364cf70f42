"""Extract one HubSpot object in a separate process that a test kills: see test_checkpoints.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))  # connector_helpers

from connector_helpers import ExtractHarness
from connectors import connector
from connectors.hubspot.client import Settings

if __name__ == "__main__":
    url, token, folder, object, checkpoint_rows = sys.argv[1:]
    client = connector("hubspot").connect(Settings(access_token=token, base_url=url))
    ExtractHarness("hubspot", Path(folder)).extract(
        client, {object: ()}, checkpoint_rows=int(checkpoint_rows)
    )
