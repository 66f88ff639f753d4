"""Programs of others' making that do the same job, each as ``python -m``; measured beside ours."""
