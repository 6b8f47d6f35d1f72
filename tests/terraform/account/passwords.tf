resource "aws_iam_account_password_policy" "this" {
  count                          = var.passwords ? 1 : 0
  minimum_password_length        = var.changed ? 16 : 12
  require_lowercase_characters   = true
  require_uppercase_characters   = true
  require_numbers                = true
  require_symbols                = false
  allow_users_to_change_password = true
  max_password_age               = 90
  password_reuse_prevention      = 5
}

resource "aws_iam_user_login_profile" "ann" {
  count                   = var.passwords ? 1 : 0
  user                    = aws_iam_user.ann.name
  password_length         = 24
  password_reset_required = true
  depends_on              = [aws_iam_account_password_policy.this]
}
