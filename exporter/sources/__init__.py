"""Where models come from: applications, Keras files, SavedModels, their weights and labels."""
