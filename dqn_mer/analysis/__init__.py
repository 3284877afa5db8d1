"""What finished runs show: metrics, statistics, figures and reports."""
