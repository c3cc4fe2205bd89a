# SPDX-License-Identifier: MIT
"""The benchmark's endpoints on FastAPI, with the Pydantic that is installed (Debian 12: version 1)."""
from typing import List, Literal

import pydantic
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, EmailStr, Field

PATTERN = {"regex" if pydantic.VERSION.startswith("1.") else "pattern": r"^[a-zA-Z\s]+$"}

app = FastAPI()


class CreateUser(BaseModel):
    if pydantic.VERSION.startswith("1."):

        class Config:
            extra = "forbid"

    else:
        model_config = {"extra": "forbid"}

    email: EmailStr
    name: str = Field(min_length=1, max_length=100, **PATTERN)
    role: Literal["user", "editor"]
    age: int = Field(ge=0, le=150)


class User(CreateUser):
    id: int


def as_dict(user):
    return user.dict() if pydantic.VERSION.startswith("1.") else user.model_dump()


@app.get("/plain", response_class=PlainTextResponse)
async def plain():
    return "Hello, world!\n"


@app.post("/users", response_model=User, status_code=201)
async def create(user: CreateUser):
    return {**as_dict(user), "id": 1}


@app.post("/users/bulk", response_model=List[User], status_code=201)
async def bulk(users: List[CreateUser]):
    return [{**as_dict(user), "id": index + 1} for index, user in enumerate(users)]
