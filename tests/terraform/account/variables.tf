variable "endpoint" {
  type        = string
  description = "The region's front door."
}

variable "region" {
  type    = string
  default = "us-east-1"
}

variable "name" {
  type        = string
  description = "Begins the names of everything."
}

variable "changed" {
  type        = bool
  default     = false
  description = "The second version of everything that can be changed in place."
}

variable "passwords" {
  type        = bool
  description = "Whether the region has passwords."
}

variable "identity_providers" {
  type        = bool
  description = "Whether the region has identity providers."
}

variable "trails" {
  type        = bool
  description = "Whether the region has trails."
}

variable "force_destroy" {
  type        = bool
  description = "Whether the region has all that a user may have: Terraform looks for each before it removes her by force."
}
