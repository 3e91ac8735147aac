"""What a model of normal histories knows besides what to recommend: anomalies, noise."""
