"""The release script: builds, says where things come from, signs, and verifies what it has signed."""
