"""The chat: a Gradio page around an `rag.Archive`."""
