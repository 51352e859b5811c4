"""The timeline under the stage: ruler, tracks, handles and their keyboard."""
