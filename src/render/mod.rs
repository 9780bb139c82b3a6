//! From plans, problems and reports to text, JSON and Markdown; prints nothing itself.
