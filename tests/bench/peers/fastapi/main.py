# SPDX-License-Identifier: MIT
"""The benchmark's endpoints on FastAPI, with the Pydantic that is installed (Debian 12: version 1)."""
import os
from typing import List, Literal

import pydantic
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import PlainTextResponse
from fastapi.security import OAuth2PasswordBearer
from jose import JWTError, jwt
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


USERS = {"7": {"id": 7, "email": "ada@example.com", "name": "Ada Lovelace", "role": "editor", "age": 36}}
SECRET = os.environ["JWT_SECRET"]
oauth2 = OAuth2PasswordBearer(tokenUrl="token")


async def principal(token: str = Depends(oauth2)):
    try:
        return jwt.decode(token, SECRET, algorithms=["HS256"], options={"require_exp": True, "require_sub": True})
    except JWTError:
        raise HTTPException(401, "Not authenticated", {"WWW-Authenticate": "Bearer"})


async def current_user(claims: dict = Depends(principal)):
    user = USERS.get(claims["sub"])
    if user is None:
        raise HTTPException(401, "User not found", {"WWW-Authenticate": "Bearer"})
    return user


class RoleChecker:
    def __init__(self, role: str):
        self.role = role

    async def __call__(self, claims: dict = Depends(principal)):
        if self.role not in claims.get("roles", []):
            raise HTTPException(403, "Forbidden")


@app.get("/me", response_model=User)
async def me(user: dict = Depends(current_user)):
    return user


@app.get("/admin", response_model=User, dependencies=[Depends(RoleChecker("admin"))])
async def admin():
    return USERS["7"]
