"""Users, their keys and logins, uploads, tasks, and the audit."""

import sqlalchemy as sa
from alembic import op

from video_analysis.backend.database.columns import Moment

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """The first tables."""
    op.create_table(
        "audit",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=True),
        sa.Column("what", sa.String(length=64), nullable=False),
        sa.Column("about", sa.String(length=128), nullable=True),
        sa.Column("address", sa.String(length=64), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_at", "audit", ["at"], unique=False)
    op.create_index("ix_audit_user_id", "audit", ["user_id"], unique=False)
    op.create_table(
        "users",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("password", sa.String(length=256), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("views", sa.String(length=24), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created", Moment(), nullable=False),
        sa.Column("quota_bytes", BIG, nullable=True),
        sa.Column("quota_tasks", BIG, nullable=True),
        sa.Column("quota_minutes", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["views"], ["users.id"], name="fk_users_views", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("name", name="uq_users_name"),
    )
    op.create_table(
        "wrong_logins",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("wrong", BIG, nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("locked_until", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_wrong_logins"),
    )
    op.create_index("ix_wrong_logins_at", "wrong_logins", ["at"], unique=False)
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("secret", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created", Moment(), nullable=False),
        sa.Column("expires", Moment(), nullable=True),
        sa.Column("last_used", Moment(), nullable=True),
        sa.Column("revoked", Moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_api_keys_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("secret", name="uq_api_keys_secret"),
    )
    op.create_index("ix_api_keys_user_id", "api_keys", ["user_id"], unique=False)
    op.create_table(
        "logins",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("before", sa.String(length=64), nullable=True),
        sa.Column("created", Moment(), nullable=False),
        sa.Column("expires", Moment(), nullable=False),
        sa.Column("ended", Moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_logins_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_logins"),
        sa.UniqueConstraint("token", name="uq_logins_token"),
    )
    op.create_index("ix_logins_before", "logins", ["before"], unique=False)
    op.create_index("ix_logins_user_id", "logins", ["user_id"], unique=False)
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("label", sa.String(length=255), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("place", sa.String(length=2048), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("bytes", BIG, nullable=True),
        sa.Column("received", BIG, nullable=False),
        sa.Column("cause", sa.String(length=1024), nullable=True),
        sa.Column("width", BIG, nullable=True),
        sa.Column("height", BIG, nullable=True),
        sa.Column("frames", BIG, nullable=True),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("created", Moment(), nullable=False),
        sa.Column("touched", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_uploads_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_uploads"),
    )
    op.create_index("ix_uploads_state", "uploads", ["state"], unique=False)
    op.create_index("ix_uploads_user_id", "uploads", ["user_id"], unique=False)
    op.create_table(
        "tasks",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("user_id", sa.String(length=24), nullable=False),
        sa.Column("upload_id", sa.String(length=24), nullable=True),
        sa.Column("label", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("priority", BIG, nullable=False),
        sa.Column("idempotency_key", sa.String(length=128), nullable=True),
        sa.Column("retry_of", sa.String(length=24), nullable=True),
        sa.Column("reason", sa.String(length=1024), nullable=True),
        sa.Column("cancel", sa.Boolean(), nullable=False),
        sa.Column("keep_partial", sa.Boolean(), nullable=False),
        sa.Column("cause", sa.String(length=2048), nullable=True),
        sa.Column("frames", BIG, nullable=False),
        sa.Column("frames_total", BIG, nullable=True),
        sa.Column("fps", sa.Double(), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("proof", sa.JSON(), nullable=True),
        sa.Column("bytes", BIG, nullable=False),
        sa.Column("created", Moment(), nullable=False),
        sa.Column("started", Moment(), nullable=True),
        sa.Column("ended", Moment(), nullable=True),
        sa.Column("claimed_by", sa.String(length=24), nullable=True),
        sa.Column("claimed_until", Moment(), nullable=True),
        sa.Column("deleted", Moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ["upload_id"], ["uploads.id"], name="fk_tasks_upload_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_tasks_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_tasks"),
        sa.UniqueConstraint("user_id", "idempotency_key", name="uq_tasks_user_id_idempotency_key"),
    )
    op.create_index("ix_tasks_created", "tasks", ["created"], unique=False)
    op.create_index("ix_tasks_state", "tasks", ["state"], unique=False)
    op.create_index("ix_tasks_user_id", "tasks", ["user_id"], unique=False)


def downgrade() -> None:
    """None at all."""
    op.drop_index("ix_tasks_user_id", table_name="tasks")
    op.drop_index("ix_tasks_state", table_name="tasks")
    op.drop_index("ix_tasks_created", table_name="tasks")
    op.drop_table("tasks")
    op.drop_index("ix_uploads_user_id", table_name="uploads")
    op.drop_index("ix_uploads_state", table_name="uploads")
    op.drop_table("uploads")
    op.drop_index("ix_logins_user_id", table_name="logins")
    op.drop_index("ix_logins_before", table_name="logins")
    op.drop_table("logins")
    op.drop_index("ix_api_keys_user_id", table_name="api_keys")
    op.drop_table("api_keys")
    op.drop_index("ix_wrong_logins_at", table_name="wrong_logins")
    op.drop_table("wrong_logins")
    op.drop_table("users")
    op.drop_index("ix_audit_user_id", table_name="audit")
    op.drop_index("ix_audit_at", table_name="audit")
    op.drop_table("audit")
